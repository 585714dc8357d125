"""Paints the test picture: a standing figure of capsules, in integer arithmetic only.

Called by reference.py. Whoever repeats it from the list of capsules, in any language, gets
the same bytes, so the picture need not be stored. The rules, all divisions rounding down:

- a picture is `size` pixels square; pixel (x, y) shows the point (u, v) =
  ((2x + 1) * 512 / size, (2y + 1) * 512 / size) of a square 1024 units wide, v downwards;
- the background is (200, 206, 212) - v / 32 per channel plus the grain (7x + 13y) mod 5;
- capsules are painted in order, each over what is there. With a, b the ends, r the radius,
  d = b - a, L = max(d.d, 1), t = clamp((p - a).d, 0, L) and e = (p - a) L - d t, point p
  lies inside when e.e <= (r L)^2; there the colour c becomes
  c (256 - 96 e.e / (r L)^2) / 256.

Coordinates stay below 1024 and capsules below 512 units, so 64 bits suffice throughout.
"""

import numpy as np

SKIN, HAIR, SHIRT, TROUSERS = (224, 172, 135), (52, 36, 26), (40, 90, 170), (56, 56, 70)
SHOE, WHITE, IRIS, LIP = (225, 225, 225), (245, 245, 245), (30, 30, 40), (170, 70, 70)

# Ends x, y, x, y and radius in units, then the colour. The figure faces the viewer.
CAPSULES = [
    (582, 880, 600, 920, 24, SHOE), (442, 880, 424, 920, 24, SHOE),
    (560, 548, 574, 706, 46, TROUSERS), (464, 548, 450, 706, 46, TROUSERS),
    (574, 706, 582, 868, 32, TROUSERS), (450, 706, 442, 868, 32, TROUSERS),
    (476, 530, 548, 530, 56, TROUSERS),
    (512, 236, 512, 262, 28, SKIN),
    (604, 306, 680, 410, 27, SKIN), (680, 410, 722, 300, 22, SKIN),
    (722, 300, 732, 262, 20, SKIN), (732, 262, 736, 232, 13, SKIN),
    (420, 306, 372, 420, 27, SKIN), (372, 420, 350, 520, 22, SKIN),
    (350, 520, 346, 556, 20, SKIN), (346, 556, 346, 582, 13, SKIN),
    (462, 320, 562, 320, 58, SHIRT), (480, 350, 480, 470, 58, SHIRT),
    (544, 350, 544, 470, 58, SHIRT), (590, 300, 640, 362, 33, SHIRT),
    (434, 300, 398, 366, 33, SHIRT),
    (512, 150, 512, 168, 58, HAIR),
    (458, 186, 458, 196, 12, SKIN), (566, 186, 566, 196, 12, SKIN),
    (512, 178, 512, 200, 50, SKIN), (480, 138, 544, 138, 22, HAIR),
    (488, 176, 494, 176, 8, WHITE), (530, 176, 536, 176, 8, WHITE),
    (491, 176, 491, 176, 5, IRIS), (533, 176, 533, 176, 5, IRIS),
    (482, 162, 500, 160, 4, HAIR), (524, 160, 542, 162, 4, HAIR),
    (512, 182, 512, 200, 7, (205, 148, 112)), (500, 224, 524, 224, 4, LIP),
]  # fmt: skip


def paint(size: int) -> np.ndarray:
    """The picture as [size, size, 3] bytes, RGB."""
    x = np.arange(size, dtype=np.int64)[np.newaxis, :]
    y = np.arange(size, dtype=np.int64)[:, np.newaxis]
    u, v = (2 * x + 1) * 512 // size, (2 * y + 1) * 512 // size
    background = np.array((200, 206, 212)) - (v // 32 + 0 * u)[..., np.newaxis]
    picture = background + ((7 * x + 13 * y) % 5)[..., np.newaxis]
    for *ends, radius, colour in CAPSULES:
        distance, limit = _distance(u, v, ends, radius)
        shade = 256 - 96 * np.minimum(distance, limit) // limit
        painted = np.array(colour) * shade[..., np.newaxis] // 256
        picture = np.where((distance <= limit)[..., np.newaxis], painted, picture)
    return picture.astype(np.uint8)


def _distance(u, v, ends: list[int], radius: int) -> tuple[np.ndarray, int]:
    """Squared distance of every point from the segment, and that of the capsule's rim."""
    x0, y0, x1, y1 = ends
    dx, dy = x1 - x0, y1 - y0
    scale = max(dx * dx + dy * dy, 1)
    along = np.clip((u - x0) * dx + (v - y0) * dy, 0, scale)
    across_x = (u - x0) * scale - dx * along
    across_y = (v - y0) * scale - dy * along
    return across_x**2 + across_y**2, (radius * scale) ** 2
