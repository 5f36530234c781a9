"""The naive twin's base: every number recomputed from the list of its bars. Slow on purpose."""

from dataclasses import dataclass, field
from math import exp, floor, log, log10, sqrt

BINS = 64
MASK = (1 << 64) - 1


@dataclass
class Pivot:
    kind: int  # +1 swing high, -1 swing low
    price: float
    bar: int
    relvol: float
    rejection: float = 0.0


@dataclass
class Row:
    """One bar of the base."""

    h: float
    lo: float
    c: float
    v: float
    tr: float
    r: float


@dataclass
class Rating:
    score: float
    members: int
    zone_lo: float
    level: float
    touch: float
    edge: float
    polarity: float
    rounded: float
    over: float


def ew(values: list[float], window: int) -> float:
    mean = 0.0
    for i, x in enumerate(values):
        mean += 1.0 / min(window, i + 1) * (x - mean)
    return mean


def bin_of(y: float, depth: float) -> int:
    """64 bins from a quarter of the dump below the trough to a quarter above the peak."""
    b = floor((y + 0.25 * depth) * (BINS / (1.5 * depth)))
    return min(max(b, 0), BINS - 1)


def price_at(position: float, trough: float, depth: float) -> float:
    return trough * exp(position * (1.5 * depth / BINS) - 0.25 * depth)


def histogram(ys: list[float], depth: float) -> list[int]:
    counts = [0] * BINS
    for y in ys:
        counts[bin_of(y, depth)] += 1
    return counts


def quantile(counts: list[int], q: float, trough: float, depth: float) -> float:
    """Linear inside the first bin where the running count reaches q of all."""
    target = q * sum(counts)
    below = 0
    for b in range(BINS):
        if below + counts[b] >= target or b == BINS - 1:
            return price_at(b + (target - below) / max(counts[b], 1), trough, depth)
        below += counts[b]
    raise AssertionError


def volume_profile(
    rows: list[tuple[float, float, float]], trough: float, depth: float
) -> list[float]:
    """Volumes of (high, low, volume) rows, each spread evenly from its low's bin to its high's."""
    out = [0.0] * BINS
    for h, lo, v in rows:
        first, last = bin_of(log(lo / trough), depth), bin_of(log(h / trough), depth)
        for b in range(first, last + 1):
            out[b] += v / (last - first + 1)
    return out


def value_area_high(hv: list[float], trough: float, depth: float) -> float:
    top = hv.index(max(hv))
    first = last = top
    held, total = hv[top], 0.0
    for x in hv:
        total += x
    while held < 0.70 * total and (first > 0 or last < BINS - 1):
        under = hv[first - 1] if first > 0 else -1.0
        over = hv[last + 1] if last < BINS - 1 else -1.0
        if over >= under:
            last, held = last + 1, held + over
        else:
            first, held = first - 1, held + under
    return price_at(last + 1.0, trough, depth)


def edge_contrast(hv: list[float], x: float, reach: float, trough: float, depth: float) -> float:
    if reach <= 0.0 or x <= reach:
        return 0.0
    at, first, last = (bin_of(log(p / trough), depth) for p in (x, x - reach, x + reach))
    below, above = sum(hv[first:at]), sum(hv[at + 1 : last + 1])
    return (below - above) / (below + above) if below + above > 0.0 else 0.0


def is_round(x: float, tolerance: float) -> bool:
    decade = 10.0 ** floor(log10(x))
    step = (0.1 if x < 5.0 * decade else 0.25) * decade
    return abs(x - round(x / step) * step) <= tolerance


def mixed(a: int, b: int) -> float:
    """splitmix64's finaliser, in Python's own integers."""
    z = ((a & MASK) * 0x9E3779B97F4A7C15 + (b & MASK)) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return ((z ^ (z >> 31)) >> 11) / 2.0**53


@dataclass
class Base:
    """A range since its anchor; ``trough`` and ``depth`` fix the histogram."""

    trough: float
    depth: float
    anchor: int
    don_start: float = 0.0
    rows: list[Row] = field(default_factory=list)

    # the level
    level: float = 0.0
    edge_price: float = 0.0
    rating: Rating | None = None
    level_bar: int = 0
    touches_r: int = 0
    touches_s: int = 0

    @property
    def zone_lo(self) -> float:
        return self.rating.zone_lo if self.level else 0.0

    def clear_level(self) -> None:
        self.level = self.edge_price = 0.0
        self.rating, self.touches_r, self.touches_s = None, 0, 0

    @property
    def nb(self) -> int:
        return len(self.rows)

    def ys(self) -> list[float]:
        return [log(row.c / self.trough) for row in self.rows]

    def batr(self, p) -> float:
        return ew([row.tr for row in self.rows], p.batr_bars)

    def bvol(self, p) -> float:
        return ew([row.v for row in self.rows], p.batr_bars)

    def path(self) -> float:
        total = 0.0
        for row in self.rows[1:]:
            total += abs(row.r)
        return total

    def er(self) -> float:
        path = self.path()
        return abs(log(self.rows[-1].c / self.rows[0].c)) / path if path > 0.0 else 0.0

    def don(self) -> float:
        return max([self.don_start] + [row.h for row in self.rows])

    def q95(self) -> float:
        return quantile(histogram(self.ys(), self.depth), 0.95, self.trough, self.depth)

    def floor(self, p) -> float:
        if p.floor_quantile == 1 and self.nb >= 8:
            low = quantile(histogram(self.ys(), self.depth), 0.02, self.trough, self.depth)
            return max(self.trough, low)  # a quantile inside a bin may fall short of any close
        return self.trough

    def drift(self, p) -> float:
        """|OLS slope| times bars over log height, by centred sums."""
        fl, top = self.floor(p), self.q95()
        if self.nb < 2 or top <= fl:
            return 0.0
        ys = self.ys()
        mx, my = (self.nb - 1) / 2.0, sum(ys) / self.nb
        sxy = sum((i - mx) * (y - my) for i, y in enumerate(ys))
        sxx = sum((i - mx) ** 2 for i in range(self.nb))
        return abs(sxy / sxx) * self.nb / log(top / fl)

    def kappa(self, p) -> float:
        qv = 0.0
        for row in self.rows[1:]:
            qv += row.r * row.r
        fl, don = self.floor(p), self.don()
        return log(don / fl) / sqrt(qv) if qv > 0.0 and don > fl else 0.0

    def hv(self) -> list[float]:
        return volume_profile([(x.h, x.lo, x.v) for x in self.rows], self.trough, self.depth)

    def overhang(self, x: float) -> float:
        own = bin_of(log(x / self.trough), self.depth)
        return sum(bin_of(y, self.depth) > own for y in self.ys()) / self.nb

    def rate(self, x: float, pivots: list[Pivot], n: int, pa, pb) -> Rating:
        """Section 3's score of an upper edge; pivots = those still remembered."""
        batr, hv = self.batr(pb), self.hv()
        w = 2.0 * pa.zone_half_width * batr
        inside = [
            v for v in pivots
            if v.kind == 1 and v.bar >= self.anchor and x - w <= v.price <= x + 0.25 * w
        ]  # fmt: skip
        total = 0.0
        for v in inside:
            age = 0.5 + 0.5 * exp(-(n - v.bar) / (0.5 * self.nb))
            rejection = 0.4 + 0.6 * min(v.rejection / batr, 4.0) / 2.0
            total += age * rejection * (0.7 + 0.3 * min(v.relvol, 3.0) / 1.5)
        prices = sorted((v.price for v in inside), reverse=True)
        zone_lo = prices[-1] if prices else self.zone_lo  # all forgotten: it stays as it was
        level = x
        if len(prices) > 1 and pa.level_mode == 1:
            level = 0.5 * (prices[0] + prices[1])
        elif len(prices) > 1 and pa.level_mode == 2:
            level = prices[1]
        touch = 1.0 - exp(-total / pa.tau)
        edge = edge_contrast(hv, x, 1.5 * batr, self.trough, self.depth)
        middle = 0.5 * (zone_lo + x)
        old = [v for v in pivots if v.bar < self.anchor and abs(v.price - middle) <= w]
        polarity = 1.0 if old else 0.0
        rounded = 1.0 if is_round(x, 0.25 * batr) else 0.0
        over = self.overhang(x + 0.1 * batr)
        score = pa.w_touch * touch + pa.w_edge * edge + pa.w_polarity * polarity
        score = score + (pa.w_round * rounded - pa.w_over * over)
        return Rating(score, len(prices), zone_lo, level, touch, edge, polarity, rounded, over)

    def select(self, pivots: list[Pivot], n: int, pa, pb) -> bool:
        """Choose the level; True when its price changed."""
        fl = self.floor(pb)
        line = fl + pa.top_share * (self.q95() - fl)
        rated = []
        for v in pivots:
            if v.kind == 1 and v.bar >= self.anchor:
                r = self.rate(v.price, pivots, n, pa, pb)
                high_enough = pa.top_share == 0.0 or r.level >= line
                if r.members >= pa.members_min and r.score >= pa.score_min and high_enough:
                    rated.append((v.price, r))
        best = max(rated, key=lambda pair: pair[1].score, default=None)
        if self.level > 0.0:
            self.rating = self.rate(self.edge_price, pivots, n, pa, pb)
            if (
                best is None
                or best[0] == self.edge_price
                or n - self.level_bar < pa.change_gap_bars
            ):
                return False
            ahead = pa.hysteresis * (1.0 if best[1].level >= self.level else pa.hysteresis_down)
            if best[1].score <= self.rating.score + ahead:
                return False
        elif best is None:
            return False
        changed = best[1].level != self.level
        self.edge_price, self.rating = best
        self.level, self.level_bar = self.rating.level, n
        return changed

    def count_touches(self, pivots: list[Pivot], pa, pb) -> tuple[int, int]:
        fl = self.floor(pb)
        band = max(pa.touch_batr * self.batr(pb), pa.touch_height * (self.q95() - fl))
        sides = []
        for v in pivots:
            if v.bar < self.anchor:
                continue
            if v.kind == 1 and v.price >= self.level - band:
                sides.append("R")
            elif v.kind == -1 and v.price <= fl + band:
                sides.append("S")
        runs = [s for i, s in enumerate(sides) if i == 0 or sides[i - 1] != s]
        self.touches_r, self.touches_s = runs.count("R"), runs.count("S")
        return self.touches_r, self.touches_s

    def variants(
        self, pivots: list[Pivot], peak_bar: int, seed: tuple[int, int], pa, pb
    ) -> list[float]:
        """The eight ceilings of `LevelKind`, in its order."""
        w = 2.0 * pa.zone_half_width * self.batr(pb)
        fl, q95 = self.floor(pb), self.q95()
        highs = [v.price for v in pivots if v.kind == 1 and v.bar >= self.anchor]
        clusters = [[y for y in highs if x - w <= y <= x + 0.25 * w] for x in highs]
        biggest = max(clusters, key=len, default=[])
        above = [
            v.price for v in pivots
            if v.kind == -1 and v.bar < peak_bar and v.price > 0.5 * (fl + q95)
        ]  # fmt: skip
        return [
            self.level,
            self.don(),
            highs[-1] if highs else 0.0,
            sum(biggest) / len(biggest) if biggest else 0.0,
            value_area_high(self.hv(), self.trough, self.depth),
            q95,
            min(above, default=0.0),
            fl + mixed(*seed) * (self.don() - fl),
        ]
