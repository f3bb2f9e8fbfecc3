/* Options that several commands have. */
#include "commands.h"

sr_option shards_option(uint64_t *shards)
{
    return (sr_option){.name = "shards",
                       .count = shards,
                       .least = 1,
                       .most = 99999,
                       .standard = "1",
                       .help = "files that sequences are divided among"};
}

sr_option memory_option(uint64_t *bytes)
{
    return (sr_option){.name = "memory", .bytes = bytes, .least = 1 << 20, .help = "memory of each process, as 512M or 8G"};
}

sr_option temporary_option(const char **directory)
{
    return (sr_option){.name = "temporary", .directory = directory, .help = "where runs that do not fit into memory are kept"};
}
