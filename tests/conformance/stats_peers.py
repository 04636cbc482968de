"""The same inputs to core/stats and to its peers: confseq, gbstats and savvi, from PyPI, and scipy. usage: stats_peers.py STATS_VALUES
Prints a line a function: cases, the largest difference; exit 1 when one is beyond its tolerance."""
import json
import random
import subprocess
import sys

import numpy as np
from confseq import boundaries
from confseq.betting import betting_mart
from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import SampleMeanStatistic
from savvi.multinomial import Multinomial
from scipy.special import betaincc, betaln
from scipy.stats import nchypergeom_fisher

BETS = [.007, .02, .06, .16, .4, .95]
WEIGHTS = np.array([.25, .75, 1, 1, 1.5, 1]) / 5.5
CONCENTRATIONS = [2, 20, 200, 2000]
rng = random.Random(20261129)
cases = []  # (name, arguments, theirs)
silent = {}  # cases in which the peer's own number underflowed


def ask(name, args, theirs):
    if np.isfinite(theirs):
        cases.append((name, args, float(theirs)))
    else:
        silent[name] = silent.get(name, 0) + 1


def confseq_boundaries():
    for _ in range(200):
        v, v_opt, alpha = 10 ** rng.uniform(0, 5), 10 ** rng.uniform(0, 4), 10 ** rng.uniform(-4, -.7)
        s = rng.uniform(0, 5) * v ** .5
        ask("two_sided_normal", [s, v, v_opt, alpha], boundaries.normal_log_mixture(s, v, v_opt, alpha, False))
        ask("one_sided_normal", [s, v, v_opt, alpha], boundaries.normal_log_mixture(s, v, v_opt, alpha, True))
        ask("two_sided_normal_bound", [v, alpha, v_opt, .05], boundaries.normal_mixture_bound(v, alpha, v_opt, .05, False))
        g = rng.uniform(.05, .95)
        ask("one_sided_beta_binomial", [s / 10, v, v_opt, g, 1 - g, .05], boundaries.beta_binomial_log_mixture(s / 10, v, v_opt, g, 1 - g, .05, True))
        ask("one_sided_beta_binomial_bound", [v, alpha, v_opt, g, 1 - g, .05], boundaries.beta_binomial_mixture_bound(v, alpha, v_opt, g, 1 - g, .05, True))
        c = rng.uniform(.2, 4)
        ask("gamma_exponential_bound", [v, alpha, v_opt, c, .05], boundaries.gamma_exponential_mixture_bound(v, alpha, v_opt, c, .05))
        ask("poly_stitching_bound", [v, alpha, v_opt, c], boundaries.poly_stitching_bound(v, alpha, v_opt, c))
        n = rng.randint(1, 5000)
        k, n_opt = rng.randint(0, n), rng.randint(10, 1000)
        low, high = boundaries.bernoulli_confidence_interval(k, n, alpha, n_opt)
        ask("bernoulli_low", [k, n, alpha, n_opt], low)
        ask("bernoulli_high", [k, n, alpha, n_opt], high)


def confseq_betting():
    """Our mixture of constant bets, each of them played by confseq."""
    for _ in range(60):
        m, p = rng.uniform(.05, .95), rng.uniform(.05, .95)
        x = np.array([rng.betavariate(4 * p, 4 * (1 - p)) for _ in range(rng.randint(1, 300))])
        below = [betting_mart(x, m, lambdas_fn_negative=lambda x, m: np.full(len(x), f / (1 - m)), theta=0, trunc_scale=1)[-1] for f in BETS]
        above = [betting_mart(x, m, lambdas_fn_positive=lambda x, m: np.full(len(x), f / m), theta=1, trunc_scale=1)[-1] for f in BETS]
        lo, hi = rng.uniform(-50, 0), rng.uniform(10, 200)
        scaled = [lo + (hi - lo) * value for value in x]
        ask("bounded_below", [scaled, lo, hi, lo + (hi - lo) * m], np.log(WEIGHTS @ below))
        ask("bounded_above", [scaled, lo, hi, lo + (hi - lo) * m], np.log(WEIGHTS @ above))


def gbstats_sequential():
    for _ in range(200):
        n = [rng.randint(20, 20000) for _ in range(2)]
        mean, sd = [rng.uniform(.5, 3) for _ in range(2)], [rng.uniform(.1, 5) for _ in range(2)]
        arms = [SampleMeanStatistic(n=k, sum=k * m, sum_squares=(k - 1) * s * s + k * m * m) for k, m, s in zip(n, mean, sd)]
        alpha, tuning = rng.choice([.01, .05, .1]), rng.choice([100, 1000, 5000])
        test = SequentialTwoSidedTTest(*arms, SequentialConfig(alpha=alpha, sequential_tuning_parameter=tuning))
        low, high = test.confidence_interval
        ask("two_sided_halfwidth", [(test.variance * sum(n)) ** .5, sum(n), alpha, tuning], (high - low) / 2)


def savvi_multinomial():
    for _ in range(200):
        planned = rng.choice([.5, .25, .125])  # whose shares sum to exactly 1, as savvi demands
        n = rng.randint(1, 2000)
        canary = min(n, max(0, round(rng.gauss(n * planned, 2 * (n * planned * (1 - planned)) ** .5))))
        odds = []
        for k in CONCENTRATIONS:
            test = Multinomial(.05, np.array([planned, 1 - planned]), k=k)
            test.update(np.array([canary, n - canary]))
            odds.append(test.odds)
        ask("imbalance", [canary, n - canary, planned], np.log(np.mean(odds)))


def scipy_shares():
    for _ in range(200):
        n_c, n_b = rng.randint(1, 300), rng.randint(1, 2000)
        k, x = rng.randint(0, n_c), rng.randint(0, min(n_b, 200))
        w = rng.choice([.7, 1.5, 2, 5, 20])
        args = (n_c + n_b, n_c, k + x)
        theirs = nchypergeom_fisher.logpmf(k, *args, w) - nchypergeom_fisher.logpmf(k, *args, 1)
        ask("log_likelihood", [k, n_c, x, n_b, w], theirs)
        n, p0 = rng.randint(1, 3000), 10 ** rng.uniform(-3, -.3)
        bad = min(n, int(rng.uniform(0, 3) * p0 * n))
        a, b = bad + .5, n - bad + .5
        with np.errstate(divide="ignore"):
            tail = np.log(betaincc(a, b, p0))
        ask("harm", [bad, n, p0], betaln(a, b) + tail - betaln(.5, .5) - np.log(betaincc(.5, .5, p0))
            - bad * np.log(p0) - (n - bad) * np.log1p(-p0))


def answers(program, questions):
    lines = "".join(json.dumps({"f": name, "args": args}) + "\n" for name, args in questions)
    return [float(line) for line in subprocess.run([program], input=lines, capture_output=True, text=True, check=True).stdout.split()]


def compare(program):
    worst = {}
    for (name, args, theirs), ours in zip(cases, answers(program, [(name, args) for name, args, _ in cases]), strict=True):
        difference = abs(ours - theirs) / max(1, abs(theirs)) if np.isfinite(ours) else np.inf
        count, most, at = worst.get(name, (0, -1, None))
        worst[name] = (count + 1, *((difference, (args, ours, theirs)) if difference > most else (most, at)))
    failed = 0
    for name, (count, most, at) in worst.items():
        good = most <= 1e-7
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name}: {count} cases, at most {most:.1e} apart" + (f", {silent[name]} without a peer" if name in silent else "") + ("" if good else f": {at}"))
    return failed


def race(program):
    """Shares until shown below .90 at level .005: our mixture beside confseq's own betting (predictable plug-in)."""
    failed = 0
    for p, most, devices in [(.5, 400, 301), (.7, 800, 301), (.8, 3000, 301), (.85, 10000, 101)]:
        draws = [[float(rng.random() < p) for _ in range(most)] for _ in range(devices)]
        ours = answers(program, [("blocks_to_show_below", [x, 0, 1, .9, .005]) for x in draws])
        theirs = []
        for x in draws:
            reached = np.nonzero(betting_mart(np.array(x), .9, alpha=.005, theta=0) >= 200)[0]
            theirs.append(reached[0] + 1 if len(reached) else most)
        good = np.median(ours) <= np.median(theirs)
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} shares until shown, true {p}: ours {np.median(ours):.0f}, confseq's {np.median(theirs):.0f}")
    return failed


for part in (confseq_boundaries, confseq_betting, gbstats_sequential, savvi_multinomial, scipy_shares):
    part()
sys.exit(1 if compare(sys.argv[1]) + race(sys.argv[1]) else 0)
