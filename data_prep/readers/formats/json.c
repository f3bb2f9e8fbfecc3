/* Any file of one JSON object a line; --columns names the keys. */
#include "readers/reading.h"

static sr_status begin(reading *r, sr_error *error)
{
    char keys[ROLES][64];
    SR_TRY(reading_roles(r->options, keys, error));
    json_begin(r, (const char *const[ROLES]){keys[USER], keys[ITEM], keys[TIME], keys[RATING]});
    return SR_OK;
}

const raw_format json_format = {.name = "json",
                                .help = "any file of one JSON object a line; --columns says which keys",
                                .times = "with time=",
                                .takes = TAKES_COLUMNS | TAKES_TIMES,
                                .needs_columns = "user=user_id,item=item_id,time=t",
                                .begin = begin,
                                .records = json_read};
