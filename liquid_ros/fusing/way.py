# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The C source of a message's way from bytes to bytes: read, judged, stepped, written."""

from liquid_ros.geometry import LEAST_VARIANCE, MAX_VARIANCE, MIN_VARIANCE, NOT_KNOWN
from liquid_ros.manifold import MAX_ABS_VALUE, MIN_QUAT_NORM

PIECES = 3  # of a message that must be as they were

# Numbers of 64 bits that way() is given, some of them addresses; then where each piece begins
# and ends.
PLAN = ('step', 'w', 'exact', 'given', 'said', 'last', 'variance', 'width', 'count', 'size',
        'stamp', 'numbers', 'head', 'out')
_ENUM = ', '.join(name.upper() for name in (*PLAN, 'pieces'))

# What intake.py, timing.py, geometry.py and ros/wire.py say, for one row, operation by operation.
WAY = f"""\
#include <math.h>
#include <stdint.h>
#include <string.h>
enum {{ {_ENUM} }};
enum {{ POSE = 7, COVARIANCE = 36, TWIST = POSE + COVARIANCE }};
typedef void (*Step)(long, const float *, const double *, double *, const double *, double *);

static void rotation(const double *quat, double *r)
{{
  double x = quat[0], y = quat[1], z = quat[2], w = quat[3];
  const double norm = sqrt(x * x + y * y + z * z + w * w);
  x /= norm; y /= norm; z /= norm; w /= norm;
  const double xx = x * x, yy = y * y, zz = z * z, ww = w * w;
  r[0] = xx - yy - zz + ww; r[1] = 2.0 * (x * y - z * w); r[2] = 2.0 * (x * z + y * w);
  r[3] = 2.0 * (x * y + z * w); r[4] = yy - xx - zz + ww; r[5] = 2.0 * (y * z - x * w);
  r[6] = 2.0 * (x * z - y * w); r[7] = 2.0 * (y * z + x * w); r[8] = zz - xx - yy + ww;
}}

/* geometry.own_variances() as intake.checked() takes them. */
static void own_variances(const double *c, const double *quat, double *variances)
{{
  double r[9];
  rotation(quat, r);
  for (int k = 0; k < 3; k++) {{
    const double x = r[k], y = r[3 + k], z = r[6 + k];
    variances[k] = c[7 * k];
    variances[3 + k] = x * (c[21] * x + c[22] * y + c[23] * z)
                       + y * (c[27] * x + c[28] * y + c[29] * z)
                       + z * (c[33] * x + c[34] * y + c[35] * z);
  }}
  for (int k = 0; k < 6; k++)
    if (!({MIN_VARIANCE!r} < variances[k] && variances[k] < {MAX_VARIANCE!r})) variances[k] = NAN;
}}

/* geometry.pose_covariance() */
static void pose_covariance(const double *variance, const double *quat, double *c)
{{
  double r[9], v[6];
  rotation(quat, r);
  for (int k = 0; k < 6; k++)
    v[k] = !isfinite(variance[k]) || variance[k] > {NOT_KNOWN!r} ? {NOT_KNOWN!r}
           : variance[k] < {LEAST_VARIANCE!r} ? {LEAST_VARIANCE!r} : variance[k];
  memset(c, 0, COVARIANCE * sizeof(double));
  for (int i = 0; i < 3; i++) {{
    const double x = r[3 * i] * v[3], y = r[3 * i + 1] * v[4], z = r[3 * i + 2] * v[5];
    c[7 * i] = v[i];
    for (int j = i; j < 3; j++)
      c[21 + 6 * i + j] = c[21 + 6 * j + i] = x * r[3 * j] + y * r[3 * j + 1] + z * r[3 * j + 2];
  }}
}}

/* Return how many ns later a stream's next message is and write what becomes of it; or return 0,
   and the state is what it was. */
int64_t way(const int64_t *plan, const char *raw, int64_t size, double *state, int64_t last_ns,
            int64_t after_ns, int64_t until_ns, int64_t gap_ns, double most_s)
{{
  const char *head = (const char *)(intptr_t)plan[HEAD];
  double *given = (double *)(intptr_t)plan[GIVEN], *said = (double *)(intptr_t)plan[SAID];
  const int64_t stamp = plan[STAMP], numbers = plan[NUMBERS], width = plan[WIDTH];
  const int64_t count = plan[COUNT];
  char *out = (char *)(intptr_t)plan[OUT];
  double covariance[COVARIANCE], beside;
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
  for (int64_t i = TWIST; i < count; i++) {{
    memcpy(&beside, raw + numbers + 8 * i, 8);
    if (!isfinite(beside)) return 0;
  }}
  if (width == POSE) {{
    double *q = given + 3, square = q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3];
    if (!({MIN_QUAT_NORM**2!r} <= square && square < {MAX_ABS_VALUE!r})) return 0;
    if (count > POSE) {{
      memcpy(covariance, raw + numbers + 8 * POSE, sizeof covariance);
      own_variances(covariance, q, given + POSE + 1);
    }}
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
  if (count > width) {{
    pose_covariance(said + plan[VARIANCE], said + 3, covariance);
    memcpy(out + numbers + 8 * POSE, covariance, sizeof covariance);
    memcpy(out + numbers + 8 * TWIST, raw + numbers + 8 * TWIST, 8 * (count - TWIST));
  }}
  return later_ns;
}}
"""
