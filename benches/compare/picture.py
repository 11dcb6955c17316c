"""Draws the ratios as an SVG: one bar a row, the better peer is the line at 1."""
import statistics

WIDTH, ROW, LEFT, SCALE = 720, 34, 150, 380


def draw(figures, rows, names):
    us = "cos-auth-proxy"
    peers = [n for n in names if n not in ("direct", us)]
    height = ROW * len(rows) + 70
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        '<text x="12" y="24" font-size="15" font-weight="bold">CPU of the signing proxy, relative to the better of tuned nginx and HAProxy (lower is better)</text>',
    ]
    for index, row in enumerate(rows):
        best = min((statistics.median([c for c, _ in figures[(row, p)]]) for p in peers))
        ours = [c / best for c, _ in figures[(row, us)]]
        ratio, y = statistics.median(ours), 44 + index * ROW
        colour = "#2a7f62" if ratio <= 1 else "#c98a1b"
        out.append(f'<text x="{LEFT - 8}" y="{y + 17}" text-anchor="end">{row}</text>')
        out.append(f'<rect x="{LEFT}" y="{y + 3}" width="{ratio * SCALE:.0f}" height="20" fill="{colour}"/>')
        low, high = (LEFT + v * SCALE for v in (min(ours), max(ours)))
        out.append(f'<line x1="{low:.0f}" x2="{high:.0f}" y1="{y + 13}" y2="{y + 13}" stroke="#222" stroke-width="2"/>')
        out.append(f'<text x="{max(high, LEFT + ratio * SCALE) + 6:.0f}" y="{y + 17}">{ratio:.2f}</text>')
    one = LEFT + SCALE
    out.append(f'<line x1="{one}" x2="{one}" y1="40" y2="{height - 22}" stroke="#a22" stroke-dasharray="4 3"/>')
    out.append(f'<text x="{one}" y="{height - 8}" text-anchor="middle" fill="#a22">the better peer = 1</text></svg>')
    return "\n".join(out)
