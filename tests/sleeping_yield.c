/* A library to be loaded before the tests and the programs that they start: sched_yield() sleeps for a moment.
 *
 * A rank that waits for another asks its MPI library over and over, and gives up its core in between by sched_yield().
 * The kernel gives the core back at once where nobody else waits for just this core, and shares it evenly otherwise: waiting
 * ranks take as much of a busy machine as computing ones. A test of four ranks then takes many times as long on two cores. */
#include <sched.h>
#include <time.h>

int sched_yield(void)
{
    const struct timespec moment = {.tv_nsec = 20000};
    nanosleep(&moment, NULL);
    return 0;
}
