#include "scaling/launcher.h"

#include "srtrain/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

extern char **environ;

/* ---- what there is ---- */

static size_t number_in(const char *variable, size_t otherwise)
{
    const char *text = getenv(variable);
    const size_t number = text ? strtoul(text, NULL, 10) : 0; /* "4(x2)" of SLURM_TASKS_PER_NODE begins with a number too */
    return number ? number : otherwise;
}

static bool is_on_path(const char *program)
{
    const char *path = getenv("PATH");
    while (path && *path) {
        const size_t length = strcspn(path, ":");
        char file[4096];
        snprintf(file, sizeof file, "%.*s/%s", (int)length, path, program);
        if (access(file, X_OK) == 0)
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

static size_t usable_cores(void)
{
    cpu_set_t set;
    const int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? (size_t)count : 1;
}

/* Lines of a host file, which names a host once for each rank, and how many of them are its last host's: the first may be
 * that of the batch script alone. */
static bool read_host_file(const char *path, size_t *lines, size_t *of_node)
{
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[1024], previous[1024] = "";
    if (!file)
        return false;
    *lines = *of_node = 0;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '\n')
            continue;
        ++*lines;
        *of_node = strcmp(line, previous) == 0 ? *of_node + 1 : 1;
        memcpy(previous, line, sizeof line);
    }
    fclose(file);
    if (*lines == 0)
        *lines = *of_node = 1;
    return true;
}

static size_t divide_up(size_t count, size_t by)
{
    return (count + by - 1) / by;
}

/* ---- batch systems ---- */

static bool find_slurm(launch_method *made)
{
    const char *job = getenv("SLURM_JOB_ID");
    if (!job || !is_on_path("srun"))
        return false;
    const size_t nodes = number_in("SLURM_JOB_NUM_NODES", 1);
    made->ranks = number_in("SLURM_NTASKS", nodes * divide_up(number_in("SLURM_CPUS_ON_NODE", 1), made->threads));
    made->ranks_of_node = number_in("SLURM_NTASKS_PER_NODE", divide_up(made->ranks, nodes));
    snprintf(made->command, sizeof made->command,
             "srun --nodes={nodes} --ntasks={ranks} --cpus-per-task={threads} "
             "--cpu-bind=cores");
    snprintf(made->found, sizeof made->found, "Slurm job %s", job);
    return true;
}

/* An MPI library that was not built for the batch system must be told the hosts; one that was does not mind. */
static bool find_hosts(launch_method *made, const char *system, const char *job, const char *file)
{
    if (!read_host_file(file, &made->ranks, &made->ranks_of_node))
        return false;
    snprintf(made->command, sizeof made->command, "%s --hostfile %s %s {ranks}", SRTRAIN_MPIEXEC, file, SRTRAIN_MPIEXEC_FLAG);
    snprintf(made->found, sizeof made->found, "%s job %s", system, job ? job : "");
    return true;
}

static bool find_lsf(launch_method *made)
{
    if (!find_hosts(made, "LSF", getenv("LSB_JOBID"), getenv("LSB_DJOB_HOSTFILE")))
        return false;
    if (is_on_path("jsrun"))
        snprintf(made->command, sizeof made->command, "jsrun --nrs {ranks} --tasks_per_rs 1 --cpu_per_rs {threads}");
    return true;
}

static void find_workstation(launch_method *made)
{
    made->ranks = made->ranks_of_node = divide_up(usable_cores(), made->threads);
    snprintf(made->command, sizeof made->command, "%s %s {ranks}", SRTRAIN_MPIEXEC, SRTRAIN_MPIEXEC_FLAG);
    snprintf(made->found, sizeof made->found, "this machine");
}

sr_status launcher_find(launch_method *made, const char *given, size_t threads, sr_error *error)
{
    *made = (launch_method){.threads = threads};
    if (!find_slurm(made) && !find_hosts(made, "PBS", getenv("PBS_JOBID"), getenv("PBS_NODEFILE")) && !find_lsf(made))
        find_workstation(made);
    if (!given)
        return SR_OK;
    if (!strstr(given, "{ranks}"))
        return sr_fail(error, SR_ERROR_USAGE,
                       "--launcher \"%s\": {ranks} must stand where the number of ranks goes, as in "
                       "\"mpirun -np {ranks}\"",
                       given);
    if (snprintf(made->command, sizeof made->command, "%s", given) >= (int)sizeof made->command)
        return sr_fail(error, SR_ERROR_USAGE, "--launcher is longer than %zu bytes", sizeof made->command - 1);
    return SR_OK;
}

/* ---- running ---- */

void launcher_fill(const launch_method *launcher, size_t ranks, char *command, size_t size)
{
    const struct {
        const char *name;
        size_t value;
    } places[] = {{"{ranks}", ranks}, {"{nodes}", divide_up(ranks, launcher->ranks_of_node)}, {"{threads}", launcher->threads}};
    size_t used = 0;
    for (const char *at = launcher->command; *at && used + 32 < size;) {
        bool filled = false;
        for (size_t i = 0; i < sizeof places / sizeof *places && !filled; ++i)
            if (strncmp(at, places[i].name, strlen(places[i].name)) == 0) {
                used += (size_t)snprintf(command + used, size - used, "%zu", places[i].value);
                at += strlen(places[i].name);
                filled = true;
            }
        if (!filled)
            command[used++] = *at++;
    }
    command[used] = '\0';
}

/* The last lines of a file, for a message. */
static void read_end(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    text[0] = '\0';
    if (!file)
        return;
    if (fseek(file, -(long)size + 1, SEEK_END) != 0)
        rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static int spawn(const char *const *arguments, const char *directory, const char *log, pid_t *process)
{
    posix_spawn_file_actions_t actions;
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure)
        return failure;
    if (directory)
        failure = posix_spawn_file_actions_addchdir_np(&actions, directory);
    if (!failure) /* srun would read what is meant for the batch script */
        failure = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failure)
        failure = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (!failure)
        failure = posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    if (!failure)
        failure = posix_spawnp(process, arguments[0], &actions, NULL, (char *const *)arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

sr_status run_and_log(const char *const *arguments, const char *directory, const char *log, int *missing, sr_error *error)
{
    pid_t process;
    int state;
    const int failure = spawn(arguments, directory, log, &process);
    if (missing)
        *missing = failure == ENOENT;
    if (failure)
        return missing && *missing ? SR_OK
                                   : sr_fail(error, SR_ERROR_RUNTIME, "cannot start %s: %s", arguments[0], strerror(failure));
    while (waitpid(process, &state, 0) < 0)
        if (errno != EINTR)
            return sr_fail(error, SR_ERROR_RUNTIME, "cannot wait for %s: %s", arguments[0], strerror(errno));
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
        return SR_OK;
    char end[1500];
    read_end(log, end, sizeof end);
    return sr_fail(error, SR_ERROR_RUNTIME, "%s ended with %s %d; %s ends with:\n%s", arguments[0],
                   WIFEXITED(state) ? "exit code" : "signal", WIFEXITED(state) ? WEXITSTATUS(state) : WTERMSIG(state), log,
                   end);
}

sr_status launcher_run(const launch_method *launcher, size_t ranks, const char *const *arguments, const char *log,
                       sr_error *error)
{
    char command[4096];
    wordexp_t words;
    size_t own = 0;
    launcher_fill(launcher, ranks, command, sizeof command);
    if (wordexp(command, &words, WRDE_NOCMD) != 0 || words.we_wordc == 0)
        return sr_fail(error, SR_ERROR_USAGE, "cannot take the launcher \"%s\" apart into words", command);
    while (arguments[own])
        ++own;
    const char **all;
    sr_status status = SR_ALLOCATE(&all, words.we_wordc + own + 1, "a command line", error);
    if (status == SR_OK) {
        memcpy(all, words.we_wordv, words.we_wordc * sizeof *all);
        memcpy(all + words.we_wordc, arguments, (own + 1) * sizeof *all);
        status = run_and_log(all, NULL, log, NULL, error);
        free(all);
    }
    wordfree(&words);
    return status;
}
