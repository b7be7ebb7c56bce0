// P1 of the case study: two layers of rotations and no control; the output is the probability of 1 on q[3].
//
// Nothing entangles, so q[3] never learns of z[0], and not(z[0] xor z[3]) stays out of reach.
//
// Source: Zhu, Hung, Chakrabarti, Wu, PLDI 2020, arXiv 2004.01122.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.observable 0.5 (I q[3] - Z q[3])

@qlazy.data
input array[float[64], 4] z;
input array[float[64], 4, 3] a;
input array[float[64], 4, 3] b;
qubit[4] q;

gate xyz(a, b, c) q { rx(a) q; ry(b) q; rz(c) q; }
def layer(readonly array[float[64], 4, 3] angles, qubit[4] q) {
  for int k in [0:3] { xyz(angles[k, 0], angles[k, 1], angles[k, 2]) q[k]; }
}

for int k in [0:3] { rx(pi * z[k]) q[k]; }
layer(a, q);
layer(b, q);
