// measure -o FILE [-c CPU] [-t SECONDS] COMMAND…
//
// Runs COMMAND and writes one line to FILE: microseconds of wall time, microseconds of CPU time (user and system, of all
// its threads), peak resident memory in KiB. Exits as COMMAND does; 124 where it ran out of time and was killed.
//
// Why not /usr/bin/time: it counts in hundredths of a second. Why not a script: Linux counts the memory of the forking
// process into the peak of what it starts, so the one that forks has to be small.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t child;
static volatile sig_atomic_t out_of_time;

static void stop(int number) {
    if (number == SIGALRM) out_of_time = 1;
    if (child > 0) kill(child, SIGKILL);
}

static long long microseconds(struct timeval time) { return time.tv_sec * 1000000LL + time.tv_usec; }

int main(int count, char **arguments) {
    const char *file = NULL;
    int cpu = -1, seconds = 120, option;
    while ((option = getopt(count, arguments, "+o:c:t:")) != -1) {
        switch (option) {
        case 'o': file = optarg; break;
        case 'c': cpu = atoi(optarg); break;
        case 't': seconds = atoi(optarg); break;
        default: return 2;
        }
    }
    if (!file || optind >= count) return 2;

    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    child = fork();
    if (child < 0) return perror("measure: fork"), 126;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (cpu >= 0) {
            cpu_set_t set;
            CPU_ZERO(&set);
            CPU_SET(cpu, &set);
            if (sched_setaffinity(0, sizeof set, &set) != 0) perror("measure: sched_setaffinity");
        }
        execvp(arguments[optind], arguments + optind);
        perror(arguments[optind]);
        _exit(127);
    }
    alarm(seconds);
    int status;
    struct rusage usage;
    while (wait4(child, &status, 0, &usage) < 0)
        if (errno != EINTR) return perror("measure: wait4"), 126;
    clock_gettime(CLOCK_MONOTONIC, &end);

    FILE *output = fopen(file, "w");
    if (!output) return perror(file), 126;
    fprintf(output, "%lld %lld %ld\n",
        (end.tv_sec - start.tv_sec) * 1000000LL + (end.tv_nsec - start.tv_nsec) / 1000,
        microseconds(usage.ru_utime) + microseconds(usage.ru_stime), usage.ru_maxrss);
    fclose(output);
    if (out_of_time) return 124;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
