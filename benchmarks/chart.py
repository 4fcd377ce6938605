"""What `benchmarks.speed` measured, as a table and as bars."""

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402 - after the backend

_OURS = "bert_tf"
_TITLES = {
    "training": "Training, texts/s",
    "prediction": "Prediction from raw strings, texts/s",
    "single": "One text at a time, p50 in ms",
}


def table(results: dict) -> str:
    """Returns rates, ratios, memory and start-up as aligned text."""
    lines = []
    for part, title in _TITLES.items():
        rows = results[part]
        lines += [
            title.split(",")[0],
            f"  {'':<18}{'texts/s':>9}{'quartiles':>16}{'ours / it':>11}"
            f"{'p50 ms':>9}{'p99 ms':>9}{'peak MiB':>10}{'start s':>9}",
        ]
        for name, row in rows.items():
            ratio = rows[_OURS]["texts_per_second"] / row["texts_per_second"]
            quartiles = "-".join(f"{value:.1f}" for value in row["quartiles"])
            lines.append(
                f"  {name:<18}{row['texts_per_second']:>9.1f}{quartiles:>16}"
                f"{ratio:>11.2f}{_number(row.get('p50_ms')):>9}"
                f"{_number(row.get('p99_ms')):>9}{row['peak_mb']:>10.0f}"
                f"{row['start_seconds']:>9.1f}"
            )
    lines.append(
        f"Matrix products: {results['matrix_product_gflops']:.0f} GFLOP/s on "
        f"{results['cores']} cores; training reaches "
        f"{results['share_of_limit']:.2f} of it"
    )
    return "\n".join(lines)


def write_chart(path: str, results: dict) -> None:
    """Draws a bar for each contestant, with quartiles."""
    figure, all_axes = plt.subplots(
        1, len(_TITLES), figsize=(13, 3.2), layout="constrained"
    )
    for axes, (part, title) in zip(all_axes, _TITLES.items(), strict=True):
        rows = results[part]
        names = list(rows)
        if part == "single":
            values = [rows[name]["p50_ms"] for name in names]
            spread = None
        else:
            values = [rows[name]["median"] for name in names]
            spread = [
                [abs(rows[name]["quartiles"][i] - rows[name]["median"])
                 for name in names]
                for i in range(2)
            ]  # fmt: skip
        colors = ["#0072b2" if n == _OURS else "#b0b0b0" for n in names]
        bars = axes.barh(names, values, xerr=spread, color=colors, capsize=3)
        axes.bar_label(bars, fmt="%.1f", padding=6)
        axes.margins(x=0.18)
        axes.invert_yaxis()
        axes.set_title(title)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
