/* Small models in double precision, and a batch for them: for tests of whole models. */
#ifndef SRTRAIN_TESTS_MODEL_WORLD_H
#define SRTRAIN_TESTS_MODEL_WORLD_H

#include "srtrain/batch.h"
#include "srtrain/objective.h"
#include "srtrain/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { ITEMS = 11, USERS = 4, LENGTH = 6, EXAMPLES = 5, VIEWS = 3, MOST_LAYERS = 3 };

/* Histories of different length; the fourth is longer than the window, the last one is empty. */
extern const int32_t histories[EXAMPLES][8];
extern const size_t lengths[EXAMPLES];
extern const int32_t next_items[EXAMPLES][8], negatives[EXAMPLES][8];
extern const int64_t example_times[EXAMPLES][8];
int64_t example_next_time(size_t example);
int32_t example_user(size_t example);

/* Who has the same list of negatives; OWN: each target has one item. */
typedef enum { OWN, LIST_OF_TARGET, LIST_OF_EXAMPLE, LIST_OF_ALL } lists_shared;

/* A model: assignments to the configuration. */
typedef struct {
    const char *name;
    const char *assignments[12];
} variant;

/* One for each way that the mathematics of a model can take. */
extern const variant variants[];
extern const size_t variant_count;

#define BERT4REC "model.backbone=bert4rec"
#define SSEPT "model.backbone=ssept"
#define TISASREC "model.backbone=tisasrec", "model.time_span=20"
#define STOSA "model.backbone=stosa", "training.loss=stosa", "model.activation=elu", "training.pvn_weight=0.3"
#define GRU4REC "model.backbone=gru4rec"
#define CASER "model.backbone=caser"
#define REFINEMENT(kind) "calibrators.refinement.kind=" kind
#define LEARNED_VALUE "calibrators.refinement.value=learned"
#define FREQUENCY "calibrators.frequency.cutoff=3"
#define FMLPREC "model.backbone=fmlprec"
#define FEAREC "model.backbone=fearec", "model.topk_factor=2.3", "model.spatial_ratio=0.4"
#define CONTRASTIVE "training.contrastive.weight=0.5"
#define COSINE "model.similarity=cosine", "training.temperature=0.3"
#define SAMPLED "training.loss=sampled_softmax"
#define HSTU "model.backbone=hstu", "model.heads=2"
#define PRE "model.norm=pre"
#define QUERY "model.norm=query"
#define SEPARATE "model.output_embedding=separate"
#define ITEM_WIDTH "model.item_width=5"
#define FROZEN "model.item_vectors=frozen", "data.item_vectors=file"
#define LIGR PRE, "model.residual=gated", "model.feed_forward=gated", "model.feed_forward_bias=false", "model.activation=swish"
#define SPATIAL "calibrators.spatial.order=true"
#define AC SPATIAL, "calibrators.adversarial.penalty=visible", "calibrators.adversarial.masked_cells=excluded"
#define AC_RELEASED SPATIAL, "calibrators.adversarial.penalty=all", "calibrators.adversarial.masked_cells=included"
#define RELEASED_FIXED_NONE "calibrators.adversarial.combine=fixed", "calibrators.adversarial.renormalize=none"
#define ANNEALING "calibrators.adversarial.combine=annealing", "calibrators.adversarial.annealing_steps=10"
#define ONE_LEVEL "calibrators.adversarial.two_level=false"

typedef struct {
    sr_settings settings;
    sr_model *model;
    sr_arena *arena;
    sr_tape *tape;                /* which records, */
    sr_tape *plain_tape;          /* and one that does not */
    sr_batch batch, again, alike; /* the latter two in contrastive training */
    lists_shared lists;
    size_t chunk_tokens;
    /* Models that choose lags: those that each layer of each view has chosen, once they are frozen. A finite
     * difference over a change of choices would be that of two functions. */
    bool is_frozen;
    size_t lags[VIEWS * MOST_LAYERS][LENGTH];
} world;

/* The settings of a small model, those sizes that its backbone has, with `chosen` assignments (NULL where none is) on
 * top. */
sr_status choose(sr_settings *settings, const char *const *chosen, size_t count, sr_error *error);

/* The model of w->settings, drawn; or of a variant. Release with free_world(). */
void open_world(world *w);
void create_world(world *w, const variant *v);
void free_world(world *w);

/* The first `count` examples, for training or evaluation, or so many from `first` on. */
void build_batch(world *w, bool training, size_t count);
void build_part(world *w, bool training, size_t first, size_t count);

/* The representation of a batch, on a tape that is reset before. */
const sr_tensor *encode(world *w, const sr_batch *batch, const sr_pass *pass);

/* From now on every pass of training chooses the lags that it chooses now. Nothing for models without a choice. */
void freeze_lags(world *w);

/* The objective of the batch, of one step and seed, whose global batch has `targets` targets, on a tape that is reset
 * before; by run_objective() on the one that records, of all targets. */
sr_outcome run_objective_on(world *w, sr_tape *tape, sr_ranks *ranks, double targets);
sr_outcome run_objective(world *w);

/* The same on the other tape: the loss that the parameters of `set` follow. */
double loss_for(world *w, sr_parameter_set set);

/* The term of this name. */
const sr_term *term_of(const sr_outcome *outcome, const char *name);

#endif
