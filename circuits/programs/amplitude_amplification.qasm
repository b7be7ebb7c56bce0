// Amplitude amplification that looks after every step, weakly, and stops when it finds what is marked.
//
// The state is ry(prepare) on both qubits, and |11> is marked. A step is a phase on |11>, a phase on the state, which is a
// reflection at pi, and a rotation of the probe by `look` where the qubits are in |11>. The output is the probability of
// |11> in the end.
//
// Source: Mizel 2009, arXiv 0810.0470; Andres-Martinez, Heunen 2020, arXiv 2009.08832.
OPENQASM 3.0;
include "stdgates.inc";

const int rounds = 6;

pragma qlazy.observable 0.25 (I q[0] - Z q[0] - Z q[1] + Z q[0] Z q[1])

input float[64] prepare;
input float[64] mark;
input float[64] reflect;
input float[64] look;
qubit[2] q;
qubit probe;
bit found = 0;

ry(prepare) q;
@qlazy.bound rounds
while (!found) {
  cp(mark) q[0], q[1];
  ry(-prepare) q;
  x q;
  cp(reflect) q[0], q[1];
  x q;
  ry(prepare) q;
  ctrl(2) @ rx(look) q[0], q[1], probe;
  found = measure probe;
}
