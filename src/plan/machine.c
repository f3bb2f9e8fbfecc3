/* What this machine, and whoever granted it, allows. */
#include "srtrain/plan.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void lower(sr_machine *machine, size_t memory, const char *limit)
{
    if (memory == 0 || memory >= machine->memory)
        return;
    machine->memory = memory;
    snprintf(machine->limit, sizeof machine->limit, "%s", limit);
}

/* The number in a file; 0 where there is none ("max"). */
static size_t number_in(const char *path)
{
    FILE *file = fopen(path, "r");
    unsigned long long number = 0;
    if (!file)
        return 0;
    if (fscanf(file, "%llu", &number) != 1)
        number = 0;
    fclose(file);
    return (size_t)number;
}

/* A group's limit counts for the groups below it, so that all on the way up are asked. `mount` is where groups are found. */
static void lower_by_groups(sr_machine *machine, const char *mount, const char *group, const char *file)
{
    char path[512], whole[1024];
    snprintf(path, sizeof path, "%s", group);
    for (;;) {
        snprintf(whole, sizeof whole, "%s%s/%s", mount, strcmp(path, "/") == 0 ? "" : path, file);
        lower(machine, number_in(whole), "the control group's limit");
        char *slash = strrchr(path, '/');
        if (!slash || (slash == path && !path[1]))
            return;
        slash[slash == path] = '\0';
    }
}

static void look_at_groups(sr_machine *machine)
{
    FILE *file = fopen("/proc/self/cgroup", "r");
    char line[768];
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        ++controllers;
        if (!*controllers)
            lower_by_groups(machine, "/sys/fs/cgroup", group, "memory.max");
        else if (strcmp(controllers, "memory") == 0)
            lower_by_groups(machine, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    }
    if (file)
        fclose(file);
}

static size_t number_of_environment(const char *name)
{
    const char *text = getenv(name);
    const long long number = text ? strtoll(text, NULL, 10) : 0;
    return number > 0 ? (size_t)number : 0;
}

void sr_machine_look(sr_machine *machine)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    *machine = (sr_machine){.memory = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX};
    snprintf(machine->limit, sizeof machine->limit, "physical memory");
    look_at_groups(machine);
    lower(machine, number_of_environment("SLURM_MEM_PER_NODE") << 20, "SLURM_MEM_PER_NODE");
    lower(machine, (number_of_environment("SLURM_MEM_PER_CPU") * number_of_environment("SLURM_CPUS_ON_NODE")) << 20,
          "SLURM_MEM_PER_CPU on all CPUs of the job here");
    cpu_set_t set;
    machine->cores = sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

size_t sr_resident_memory(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long long size, resident = 0;
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

size_t sr_peak_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}
