# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The C source of a message's way from bytes to bytes: read, judged, stepped, written."""

from liquid_ros.manifold import MAX_ABS_VALUE, MIN_QUAT_NORM

PIECES = 3  # of a message that must be as they were

# Numbers of 64 bits that way() is given, some of them addresses; then where each piece begins
# and ends.
PLAN = ('step', 'w', 'exact', 'given', 'said', 'last', 'width', 'size', 'stamp', 'numbers', 'head',
        'out')
_ENUM = ', '.join(name.upper() for name in (*PLAN, 'pieces'))

# streams.StreamBank.advance() and ros.express.Express in other words.
WAY = f"""\
#include <math.h>
#include <stdint.h>
#include <string.h>
enum {{ {_ENUM} }};
typedef void (*Step)(long, const float *, const double *, double *, const double *, double *);

/* Return how many ns later a stream's next message is and write what becomes of it; or return 0,
   and the state is what it was. */
int64_t way(const int64_t *plan, const char *raw, int64_t size, double *state, int64_t last_ns,
            int64_t after_ns, int64_t until_ns, int64_t gap_ns, double most_s)
{{
  const char *head = (const char *)(intptr_t)plan[HEAD];
  double *given = (double *)(intptr_t)plan[GIVEN], *said = (double *)(intptr_t)plan[SAID];
  const int64_t stamp = plan[STAMP], numbers = plan[NUMBERS], width = plan[WIDTH];
  char *out = (char *)(intptr_t)plan[OUT];
  int32_t sec;
  uint32_t nanosec;
  if (size != plan[SIZE]) return 0;
  for (int i = PIECES; i < PIECES + {2 * PIECES}; i += 2)
    if (memcmp(raw + plan[i], head + plan[i], plan[i + 1] - plan[i])) return 0;
  memcpy(&sec, raw + stamp, 4);
  memcpy(&nanosec, raw + stamp + 4, 4);
  if (nanosec >= 1000000000) return 0;
  const int64_t stamp_ns = sec * INT64_C(1000000000) + nanosec, later_ns = stamp_ns - last_ns;
  if (!stamp_ns || stamp_ns <= after_ns || stamp_ns > until_ns || later_ns <= 0
      || later_ns > gap_ns) return 0;
  const double dt_s = later_ns / 1e9;
  if (dt_s > most_s) return 0;
  memcpy(given, raw + numbers, 8 * width);
  for (int i = 0; i < 3; i++)
    if (!(-{MAX_ABS_VALUE!r} < given[i] && given[i] < {MAX_ABS_VALUE!r})) return 0; /* NaN, too */
  if (width == 7) {{
    double *q = given + 3, square = q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3];
    if (!({MIN_QUAT_NORM**2!r} <= square && square < {MAX_ABS_VALUE!r})) return 0;
    const double norm = sqrt(square);
    for (int i = 0; i < 4; i++) q[i] = q[i] / norm;
  }}
  given[width] = dt_s;
  ((Step)(intptr_t)plan[STEP])(1, (const float *)(intptr_t)plan[W],
                               (const double *)(intptr_t)plan[EXACT], state, given, said);
  if (said[plan[LAST]] != 0.0) return 0;
  memcpy(out, head, numbers);
  memcpy(out + stamp, raw + stamp, 8);
  memcpy(out + numbers, said, 8 * width);
  return later_ns;
}}
"""
