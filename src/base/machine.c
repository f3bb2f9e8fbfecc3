#include "srtrain/machine.h"

#include "base/units.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const sr_machine_places usual = {.process = "/proc/self",
                                        .memory = "/proc/meminfo",
                                        .groups = "/sys/fs/cgroup",
                                        .groups_of_memory = "/sys/fs/cgroup/memory"};

/* ---- numbers in files ---- */

static FILE *open_in(const char *directory, const char *name)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/%s", directory, name) < (int)sizeof path ? fopen(path, "r") : NULL;
}

/* The number that a file begins with. False where there is none ("max"). */
static bool number_in(const char *directory, const char *name, size_t *number)
{
    unsigned long long found = 0;
    FILE *file = open_in(directory, name);
    const bool read = file && fscanf(file, "%llu", &found) == 1;
    if (file)
        fclose(file);
    *number = (size_t)found;
    return read;
}

/* The number behind `name` and white space at the begin of a line; 0 where there is none, or no file. Closes the file. */
static size_t number_of_line(FILE *file, const char *name)
{
    char line[256];
    unsigned long long number = 0;
    const size_t length = strlen(name);
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, length) == 0 && (line[length] == ' ' || line[length] == '\t')) {
            number = strtoull(line + length, NULL, 10);
            break;
        }
    if (file)
        fclose(file);
    return (size_t)number;
}

/* ---- control groups ---- */

/* How a version of control groups calls its files, and the lines of memory.stat with files that go when memory is short. */
typedef struct {
    const char *limit, *usage, *inactive, *active;
} group_files;

static const group_files version_1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
                                      "total_active_file"},
                         version_2 = {"memory.max", "memory.current", "inactive_file", "active_file"};

/* Called for each limit that counts: with what it allows, and what of it is in use. */
typedef void limit_function(void *context, size_t limit, size_t used);

static size_t used_in(const char *directory, const group_files *files)
{
    size_t used;
    if (!number_in(directory, files->usage, &used))
        return 0;
    const size_t cached = number_of_line(open_in(directory, "memory.stat"), files->inactive) +
                          number_of_line(open_in(directory, "memory.stat"), files->active);
    return used > cached ? used - cached : 0;
}

/* A group's limit counts for the groups below it, so that all on the way up are asked. `mount` is where groups are found. */
static void for_groups_above(const char *mount, const char *group, const group_files *files, limit_function *visit,
                             void *context)
{
    char path[512], directory[1024];
    snprintf(path, sizeof path, "%s", group);
    for (;;) {
        size_t limit;
        const bool fits = snprintf(directory, sizeof directory, "%s%s", mount, strcmp(path, "/") == 0 ? "" : path) <
                          (int)sizeof directory;
        if (fits && number_in(directory, files->limit, &limit))
            visit(context, limit, used_in(directory, files));
        char *slash = strrchr(path, '/');
        if (!slash || (slash == path && !path[1]))
            return;
        slash[slash == path] = '\0';
    }
}

static void for_groups(const sr_machine_places *places, limit_function *visit, void *context)
{
    char line[768];
    FILE *file = open_in(places->process, "cgroup");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        ++controllers;
        if (!*controllers)
            for_groups_above(places->groups, group, &version_2, visit, context);
        else if (strcmp(controllers, "memory") == 0)
            for_groups_above(places->groups_of_memory, group, &version_1, visit, context);
    }
    if (file)
        fclose(file);
}

/* ---- limits ---- */

static void lower(sr_machine *machine, size_t memory, const char *limit)
{
    if (memory == 0 || memory >= machine->memory)
        return;
    machine->memory = memory;
    snprintf(machine->limit, sizeof machine->limit, "%s", limit);
}

static void lower_by_group(void *context, size_t limit, size_t used)
{
    (void)used;
    lower(context, limit, "the control group's limit");
}

static void lower_by_slurm(sr_machine *machine)
{
    lower(machine, sr_number_of_environment("SLURM_MEM_PER_NODE") << 20, "SLURM_MEM_PER_NODE");
    lower(machine, (sr_number_of_environment("SLURM_MEM_PER_CPU") * sr_number_of_environment("SLURM_CPUS_ON_NODE")) << 20,
          "SLURM_MEM_PER_CPU on all CPUs of the job here");
}

void sr_machine_look(sr_machine *machine, const sr_machine_places *places)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    *machine = (sr_machine){.memory = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX};
    snprintf(machine->limit, sizeof machine->limit, "physical memory");
    for_groups(places ? places : &usual, lower_by_group, machine);
    lower_by_slurm(machine);
    cpu_set_t set;
    machine->cores = sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

/* ---- what is left ---- */

/* Memory of a process, and of that what it has in common with others. */
static bool own_memory(const sr_machine_places *places, size_t *resident, size_t *shared)
{
    unsigned long long size, all, common;
    FILE *file = open_in(places->process, "statm");
    const bool read = file && fscanf(file, "%llu %llu %llu", &size, &all, &common) == 3;
    if (file)
        fclose(file);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    *resident = read ? (size_t)all * page : 0;
    *shared = read ? (size_t)common * page : 0;
    return read;
}

static size_t left_of(size_t limit, size_t used)
{
    return limit > used ? limit - used : 0;
}

static void take_least(void *context, size_t limit, size_t used)
{
    size_t *least = context;
    const size_t left = left_of(limit, used);
    *least = left < *least ? left : *least;
}

size_t sr_machine_free_memory(const sr_machine_places *places, size_t processes)
{
    const sr_machine_places *asked = places ? places : &usual;
    const size_t kilobytes = number_of_line(fopen(asked->memory, "r"), "MemAvailable:");
    size_t least = kilobytes ? kilobytes * 1024 : SIZE_MAX, resident, shared;
    sr_machine granted = {.memory = SIZE_MAX};
    for_groups(asked, take_least, &least);
    lower_by_slurm(&granted);
    if (granted.memory < SIZE_MAX && own_memory(asked, &resident, &shared))
        take_least(&least, granted.memory, resident + (processes > 1 ? processes - 1 : 0) * left_of(resident, shared));
    return least;
}

size_t sr_resident_memory(void)
{
    size_t resident, shared;
    (void)own_memory(&usual, &resident, &shared);
    return resident;
}

size_t sr_peak_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}
