#include "plan/network.h"

#include <math.h>

size_t network_nodes(const network_model *network, size_t ranks)
{
    return (ranks + network->ranks_of_node - 1) / network->ranks_of_node;
}

/* Steps that double the distance until `count` are reached. */
static double doublings(size_t count)
{
    double steps = 0;
    for (size_t reached = 1; reached < count; reached *= 2)
        ++steps;
    return steps;
}

static size_t within_node(const network_model *network, size_t ranks)
{
    return ranks < network->ranks_of_node ? ranks : network->ranks_of_node;
}

static double share(size_t count)
{
    return (double)(count - 1) / (double)count;
}

static double halving(const network_model *network, size_t ranks, double bytes)
{
    const size_t inside = within_node(network, ranks), nodes = network_nodes(network, ranks);
    return 2 * doublings(inside) * network->node_latency + 2 * share(inside) * bytes / network->node_bandwidth +
           2 * doublings(nodes) * network->latency + 2 * share(nodes) * bytes / network->bandwidth;
}

static double ring(const network_model *network, size_t ranks, double bytes)
{
    const int leaves = network_nodes(network, ranks) > 1;
    const double latency = leaves ? network->latency : network->node_latency;
    const double bandwidth = leaves ? fmin(network->bandwidth, network->node_bandwidth) : network->node_bandwidth;
    return 2 * (double)(ranks - 1) * (latency + bytes / ((double)ranks * bandwidth));
}

double network_all_reduce(const network_model *network, network_algorithm algorithm, size_t ranks, double bytes)
{
    if (ranks < 2)
        return 0;
    return algorithm == NETWORK_RING ? ring(network, ranks, bytes) : halving(network, ranks, bytes);
}

double network_reduction(const network_model *network, network_algorithm algorithm, size_t ranks, double bytes, double message)
{
    const double whole = floor(bytes / message), rest = bytes - whole * message;
    return whole * network_all_reduce(network, algorithm, ranks, message) +
           (rest > 0 ? network_all_reduce(network, algorithm, ranks, rest) : 0);
}

double network_small_sum(const network_model *network, size_t ranks)
{
    return doublings(within_node(network, ranks)) * network->node_latency +
           doublings(network_nodes(network, ranks)) * network->latency;
}

void network_fit_node(network_model *network, network_algorithm algorithm, size_t ranks, double small_sum, double all_reduce,
                      double bytes)
{
    network->node_latency = small_sum / doublings(ranks);
    const double steps = algorithm == NETWORK_RING ? 2 * (double)(ranks - 1) : 2 * doublings(ranks);
    /* Where latency explains all of it, a twentieth stays for the bytes: the bandwidth must be some number. */
    const double moving = fmax(all_reduce - steps * network->node_latency, all_reduce / 20);
    network->node_bandwidth = 2 * share(ranks) * bytes / moving;
}

void make_ascending(double *values, size_t count)
{
    for (size_t end = 1; end < count; ++end) {
        /* The values before `end` ascend: how many of them are above the mean of what comes after them? */
        double mean = values[end];
        size_t begin = end;
        while (begin > 0 && values[begin - 1] > mean) {
            mean = (mean * (double)(end + 1 - begin) + values[begin - 1]) / (double)(end + 2 - begin);
            --begin;
        }
        for (size_t i = begin; i <= end; ++i)
            values[i] = mean;
    }
}

double interpolate(const double *xs, const double *ys, size_t count, double x)
{
    if (count == 1)
        return ys[0];
    size_t i = 1;
    while (i + 1 < count && xs[i] < x)
        ++i;
    const double slope = (ys[i] - ys[i - 1]) / (xs[i] - xs[i - 1]);
    return fmax(ys[i - 1] + slope * (x - xs[i - 1]), 0);
}
