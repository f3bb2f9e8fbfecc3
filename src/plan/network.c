#include "plan/network.h"

#include <math.h>

static size_t nodes_of(const network_model *network, size_t ranks)
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

static double all_reduce(const network_model *network, size_t ranks, double bytes)
{
    const size_t inside = within_node(network, ranks), nodes = nodes_of(network, ranks);
    return 2 * doublings(inside) * network->node_latency + 2 * share(inside) * bytes / network->node_bandwidth +
           2 * doublings(nodes) * network->latency + 2 * share(nodes) * bytes / network->bandwidth;
}

double network_reduction(const network_model *network, size_t ranks, double bytes, double message)
{
    const double whole = floor(bytes / message), rest = bytes - whole * message;
    return whole * all_reduce(network, ranks, message) + (rest > 0 ? all_reduce(network, ranks, rest) : 0);
}

double network_exchange(const network_model *network, size_t ranks, double bytes, size_t messages)
{
    enum { PARTNERS_AT_ONCE = 16 };
    if (ranks == 1)
        return 0;
    const size_t inside = within_node(network, ranks);
    const double others = (double)(ranks - 1), near = (double)(inside - 1), far = (double)(ranks - inside);
    return others * (double)messages * network->node_latency + ceil(far / PARTNERS_AT_ONCE) * network->latency +
           near / others * bytes / network->node_bandwidth + (double)inside * far / others * bytes / network->bandwidth;
}

double network_small_sum(const network_model *network, size_t ranks)
{
    return doublings(within_node(network, ranks)) * network->node_latency +
           doublings(nodes_of(network, ranks)) * network->latency;
}
