/* The counts of well-known public data sets. They cannot be part of the project: without a directory that has them this is
 * skipped. */
#include "optional.h"
#include "program.h"
#include "srtrain/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

typedef program_world world;

static void skip_without_data(void)
{
    const char *directory = getenv("SRTRAIN_DATA_DIRECTORY");
    if (directory && access(directory, R_OK) == 0)
        return;
    skip_because("SRTRAIN_DATA_DIRECTORY names no directory with the public data sets");
}

/* Converts a file and returns the fingerprint. */
static void convert(world *w, const char *arguments, const char *path, size_t users, size_t items, size_t interactions,
                    char fingerprint[64])
{
    char directory[256];
    snprintf(directory, sizeof directory, "%s/converted", w->directory);
    run_srprep(&w->result, "convert %s --strict --input %s --shards 3 --output %s", arguments, path, directory);
    assert_code(&w->result, 0);
    sr_dataset *dataset;
    sr_error error;
    if (sr_dataset_open(&dataset, directory, &error) != SR_OK || sr_dataset_verify(dataset, 0, 1, &error) != SR_OK)
        fail_msg("%s", error.message);
    if (sr_dataset_users(dataset) != users || sr_dataset_items(dataset) != items ||
        sr_dataset_interactions(dataset) != interactions)
        fail_msg("%s %s: %zu users, %zu items, %zu interactions, expected %zu, %zu, %zu", arguments, path,
                 sr_dataset_users(dataset), sr_dataset_items(dataset), sr_dataset_interactions(dataset), users, items,
                 interactions);
    snprintf(fingerprint, 64, "%s", sr_dataset_fingerprint(dataset));
    sr_dataset_close(dataset);
    program_remove_directory(directory);
}

#define CORE " --min-user 5 --min-item 5"
#define GLOBO "--format csv --header --columns user=user_id,item=click_article_id,time=click_timestamp --time-unit milliseconds"
#define DIGINETICA "--format csv --delimiter ';' --header --columns item=item_id,"

static const struct {
    const char *file, *arguments;
    size_t users, items, interactions;
} known[] = {
    {"amazon-beauty-bert4rec/beauty.txt.gz", "--format pairs", 40226, 54542, 353962},
    {"amazon-beauty-bert4rec/beauty.txt.gz", "--format pairs" CORE, 22363, 12101, 198502},
    {"amazon-video-games-sasrec/Video.txt.gz", "--format pairs", 31013, 23715, 287107},
    {"amazon-video-games-sasrec/Video.txt.gz", "--format pairs" CORE, 24303, 10672, 231780},
    {"s3rec-sequences/Beauty.txt.gz", "--format sequences", 22363, 12101, 198502},
    {"s3rec-sequences/Beauty.txt.gz", "--format sequences" CORE, 22363, 12101, 198502},
    {"s3rec-sequences/Sports_and_Outdoors.txt.gz", "--format sequences", 35598, 18357, 296337},
    {"s3rec-sequences/Toys_and_Games.txt.gz", "--format sequences", 19412, 11924, 167597},
    {"s3rec-sequences/Yelp.txt.gz", "--format sequences", 30431, 20033, 316354},
    {"s3rec-sequences/LastFM.txt.gz", "--format sequences", 1090, 3646, 52551},
    {"ml-1m-sequences/ml-1m.seq.txt.gz", "--format sequences", 6040, 3706, 1000209},
    {"ml-1m-sequences/ml-1m.seq.txt.gz", "--format sequences" CORE, 6040, 3416, 999611},
    {"ml-1m-sequences/ml-1m.5core.seq.txt.gz", "--format sequences", 6040, 3416, 999611},
    {"ml-100k-udata/u.data.gz", "--format movielens-100k", 943, 1682, 100000},
    {"ml-100k-udata/u.data.gz", "--format movielens-100k" CORE, 943, 1349, 99287},
    {"ml-100k-recbole/ml-100k.inter.gz", "--format recbole", 943, 1682, 100000},
    {"ml-latest-small-2016/ratings.csv.gz", "--format movielens-csv", 671, 9066, 100004},
    {"ml-latest-small-2016/ratings.csv.gz", "--format movielens-csv" CORE, 671, 3496, 90072},
    {"amazon-magazine-ratings/Magazine_Subscriptions.csv.gz", "--format amazon-csv-2018", 72098, 2428, 89689},
    {"amazon-magazine-ratings/Magazine_Subscriptions.csv.gz", "--format amazon-csv-2018" CORE, 326, 138, 2236},
    {"amazon-fashion-5-jsonl/AMAZON_FASHION_5.json.gz", "--format amazon-json", 406, 31, 3176},
    {"amazon-musical-instruments-5-jsonl/Musical_Instruments_5.json.gz", "--format amazon-json", 1429, 900, 10261},
    {"amazon-grocery-rechorus/train.csv.gz",
     "--format csv --header --delimiter '\\t' --columns user=user_id,item=item_id,time=time", 14681, 8687, 121892},
    {"diginetica-sample/sample_train-item-views.csv.gz", DIGINETICA "user=session_id,time=timeframe", 2986, 7139, 12391},
    {"diginetica-sample/sample_train-item-views.csv.gz", DIGINETICA "user=session_id,time=eventdate", 2986, 7139, 12391},
    {"diginetica-sample/sample_train-item-views.csv.gz", DIGINETICA "user=user_id,time=eventdate --na-values NA", 1270, 3154,
     4710},
    {"yelp-review-sample-json/yelp_academic_dataset_review.json.gz", "--format yelp-json", 993, 822, 999},
};

static void public_data_sets_have_their_published_counts(void **state)
{
    world *w = *state;
    char path[512], fingerprint[64];
    skip_without_data();
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        snprintf(path, sizeof path, "%s/%s", getenv("SRTRAIN_DATA_DIRECTORY"), known[i].file);
        convert(w, known[i].arguments, path, known[i].users, known[i].items, known[i].interactions, fingerprint);
    }
}

static void the_same_data_in_two_formats_are_one_data_set(void **state)
{
    static const struct {
        const char *files[2], *arguments[2];
        size_t users, items, interactions;
    } twins[] = {
        {{"ml-100k-recbole/ml-100k.inter.gz", "ml-100k-udata/u.data.gz"},
         {"--format recbole", "--format movielens-100k"},
         943,
         1682,
         100000},
        {{"s3rec-sequences/Beauty.txt.gz", "s3rec-sequences/Beauty.txt.gz"},
         {"--format sequences", "--format sequences" CORE},
         22363,
         12101,
         198502}, /* a core is its own core */
        {{"amazon-magazine-ratings/Magazine_Subscriptions.csv.gz", "amazon-magazine-ratings/Magazine_Subscriptions.csv.gz"},
         {"--format amazon-csv-2018", "--format csv --columns item=0,user=1,time=3"},
         72098,
         2428,
         89689},
    };
    world *w = *state;
    char path[512], fingerprints[2][64];
    skip_without_data();
    for (size_t i = 0; i < sizeof twins / sizeof *twins; ++i) {
        for (size_t j = 0; j < 2; ++j) {
            snprintf(path, sizeof path, "%s/%s", getenv("SRTRAIN_DATA_DIRECTORY"), twins[i].files[j]);
            convert(w, twins[i].arguments[j], path, twins[i].users, twins[i].items, twins[i].interactions, fingerprints[j]);
        }
        assert_string_equal(fingerprints[0], fingerprints[1]);
    }
}

/* 385 files of 220 MB. */
static void a_directory_of_hourly_files_is_one_input(void **state)
{
    world *w = *state;
    char command[1024], path[256], fingerprint[64];
    skip_without_data();
    snprintf(path, sizeof path, "%s/clicks", w->directory);
    snprintf(command, sizeof command, "mkdir %s && tar --zstd -xf %s/globo-clicks/clicks.tar.zst -C %s", path,
             getenv("SRTRAIN_DATA_DIRECTORY"), path);
    if (system(command) != 0) {
        skip_because("the files of Globo cannot be unpacked");
    }
    snprintf(command, sizeof command, "cd %s && find . -type f -exec mv -n {} . ';' && find . -mindepth 1 -type d -delete",
             path);
    assert_int_equal(system(command), 0);
    convert(w, GLOBO, path, 322897, 46033, 2988181, fingerprint);
    convert(w, GLOBO CORE, path, 158323, 12005, 2520171, fingerprint);
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_data_sets_have_their_published_counts),
        cmocka_unit_test(the_same_data_in_two_formats_are_one_data_set),
        cmocka_unit_test(a_directory_of_hourly_files_is_one_input),
    };
    return run_chosen_tests(argument_count, arguments, tests, sizeof tests / sizeof *tests, program_set_up, program_tear_down);
}
