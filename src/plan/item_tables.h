/* What the two kinds of item table take in training: memory, bytes that ranks exchange, time by the model of the network. */
#ifndef SRTRAIN_PLAN_ITEM_TABLES_H
#define SRTRAIN_PLAN_ITEM_TABLES_H

#include "plan/batch_reads.h"
#include "srtrain/model.h"

/* What is known of a training before that. */
typedef struct {
    const sr_plan_request *request;
    sr_model_size size;  /* with a replicated table */
    size_t rows;         /* of the table */
    size_t scorings;     /* of all targets against the catalogue, in a step */
    size_t evaluation;   /* bytes of a worker that do not grow with the catalogue */
    size_t missed_steps; /* that rows may be late by */
    size_t message;      /* bytes of one */
    bool picks_rows;     /* of a replicated table only touched rows are summed and stepped (training.item_updates) */
    batch_reads reads;
} table_facts;

/* Bytes that a worker holds in evaluation, where its process scores `items` items for `workers` workers. */
size_t evaluation_memory(const table_facts *facts, size_t items, size_t workers);

/* Adds all parts of memory up. */
void sum_up_memory(sr_plan_memory *memory);

/* What sends and takes a step with a replicated table, whose memory is known. */
void plan_replicated(sr_plan *plan, const table_facts *facts);

/* The same with a divided one, and its memory, which differs from that of the replicated one. */
sr_status plan_divided(sr_plan *plan, const table_facts *facts, sr_error *error);

#endif
