"""From few ranks to many: what a step would take, by measured compute times, the real division of batches and a model of the
network.

With p ranks of which q share a node, N = ceil(p / q) nodes, n bytes, latency a and bandwidth B of the network and a', B' of a
node, in which a' and B' belong to one rank's exchange with another:

  halving  2 ceil(lg q) a' + 2 (q-1)/q n/B' + 2 ceil(lg N) a + 2 (N-1)/N n/B
           Recursive halving and doubling: Rabenseifner, "Optimization of collective reduction operations", ICCS 2004, LNCS 3036;
           Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH", International Journal
           of High Performance Computing Applications 19 (2005), section 4.5. Ranks of a node are neighbours, so that the halves
           that leave it add up to n bytes, which share its link. srtrain plan has the same in src/plan/network.c.
  ring     2 (p-1) (a + n/(p B)), with a', B' where one node holds all
           Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", Journal of Parallel and
           Distributed Computing 69 (2009). One message at a time crosses each link; the slowest link sets the pace.
  a sum of few numbers   ceil(lg q) a' + ceil(lg N) a
           Recursive doubling (Thakur et al.).

The additions are part of B'; on the network they are left out. Times in seconds and sizes in bytes, where no name says
otherwise."""
from dataclasses import dataclass, replace
from statistics import median

# ---- the network ----


def doublings(count):
    """Steps that double the distance until `count` are reached."""
    return (count - 1).bit_length()


def share(count):
    return (count - 1) / count


@dataclass
class Network:
    latency: float  # between nodes: of a message
    bandwidth: float  # of a node's link in one direction
    node_latency: float  # between ranks of a node
    node_bandwidth: float
    ranks_of_node: int

    def nodes(self, ranks):
        return -(-ranks // self.ranks_of_node)

    def halving(self, ranks, size):
        inside, nodes = min(ranks, self.ranks_of_node), self.nodes(ranks)
        return (2 * doublings(inside) * self.node_latency + 2 * share(inside) * size / self.node_bandwidth +
                2 * doublings(nodes) * self.latency + 2 * share(nodes) * size / self.bandwidth)

    def ring(self, ranks, size):
        latency, bandwidth = self.node_latency, self.node_bandwidth
        if self.nodes(ranks) > 1:
            latency, bandwidth = self.latency, min(self.bandwidth, self.node_bandwidth)
        return 2 * (ranks - 1) * (latency + size / (ranks * bandwidth))

    def small_sum(self, ranks):
        """One all-reduce of a few numbers."""
        return (doublings(min(ranks, self.ranks_of_node)) * self.node_latency + doublings(self.nodes(ranks)) * self.latency)

    def reduction(self, algorithm, ranks, size, messages):
        """An all-reduce of `size` bytes in so many messages, one after the other."""
        return messages * getattr(self, algorithm)(ranks, size / messages)


def fit_node(algorithm, ranks, small_sum, all_reduce, size):
    """Latency and bandwidth of a node, from the time of a small sum and of an all-reduce on some of its ranks."""
    latency = small_sum / doublings(ranks)
    steps = 2 * (ranks - 1) if algorithm == "ring" else 2 * doublings(ranks)
    # Where latency explains all of it, a twentieth stays for the bytes: the bandwidth must be some number.
    moving = max(all_reduce - steps * latency, all_reduce / 20)
    return latency, 2 * share(ranks) * size / moving


# ---- compute by load ----


def ascending(values):
    """The nearest ascending values: where they fall, neighbours get their mean (pooling adjacent violators)."""
    pools = []  # [mean, count]
    for value in values:
        pools.append([value, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, count = pools.pop()
            pools[-1] = [(mean * count + pools[-1][0] * pools[-1][1]) / (count + pools[-1][1]), count + pools[-1][1]]
    return [mean for mean, count in pools for _ in range(count)]


def interpolate(points, x):
    """y at x on the line through points (x, y) in ascending order, continued at both ends by the nearest two; not below 0."""
    if len(points) == 1:
        return points[0][1]
    at = 1
    while at + 1 < len(points) and points[at][0] < x:
        at += 1
    (left, low), (right, high) = points[at - 1], points[at]
    return max(low + (high - low) / (right - left) * (x - left), 0)


def compute_curve(cases):
    """Points (load, milliseconds) from (batches, milliseconds) of one rank, each batch as pairs (load, how many threads).

    The load is that of the thread that has most, in the median batch. A rank with more to do is not faster: that was noise."""
    points = {}
    for batches, milliseconds in cases:
        points.setdefault(median(most(pairs) for pairs in batches), milliseconds)  # a batch beyond the epoch is the same again
    loads = sorted(points)
    return list(zip(loads, ascending([points[load] for load in loads])))


# ---- division ----


def most(pairs):
    return pairs[-1][0]


def division_cost(batches, curve):
    """Means over batches: imbalance (work of the thread that has most over the mean), its compute time, the mean one's."""
    imbalance = compute = mean_compute = 0
    for pairs in batches:
        parts = sum(count for _, count in pairs)
        imbalance += most(pairs) * parts / sum(load * count for load, count in pairs)
        compute += interpolate(curve, most(pairs))
        mean_compute += sum(interpolate(curve, load) * count for load, count in pairs) / parts
    return [value / len(batches) for value in (imbalance, compute, mean_compute)]


# ---- rows ----


def summing(network, algorithm, ranks, reduced):
    """Milliseconds; `reduced` says bytes, messages and small_sums of a step."""
    if ranks == 1:
        return 0.0
    return 1e3 * (network.reduction(algorithm, ranks, reduced["bytes"], reduced["messages"]) +
                  reduced["small_sums"] * network.small_sum(ranks))


def of_measured_nodes(network, runs):
    """The same with as many ranks on a node as were measured."""
    return replace(network, ranks_of_node=max(run["ranks_of_node"] for run in runs))


def projected_row(kind, ranks, batch, division, curve, network, algorithm, reduced, base, measured):
    """`base` (ranks, step) is what efficiency is against; `measured` the run of these ranks, or None."""
    imbalance, compute, mean_compute = division_cost(division["loads"], curve)
    halving, ring = (summing(network, name, ranks, reduced) for name in ("halving", "ring"))
    chosen = ring if algorithm == "ring" else halving
    step = division["milliseconds"] + compute + chosen
    least, least_step = base
    return {
        "kind": kind, "ranks": ranks, "nodes": network.nodes(ranks), "global_batch": batch, "load_imbalance": imbalance,
        "data_ms": division["milliseconds"], "compute_ms": compute, "waiting_ms": compute - mean_compute,
        "summing_ms": chosen, "summing_halving_ms": halving, "summing_ring_ms": ring, "step_ms": step,
        "examples_per_second": 1e3 * batch / step,
        "efficiency": least_step / step * (1 if kind == "weak" else least / ranks),
        "measured_step_ms": measured and measured["step_ms"], "measured_compute_ms": measured and measured["compute_ms"],
        "measured_summing_ms": measured and measured["summing_ms"],
        "relative_error": measured and step / measured["step_ms"] - 1,
    }
