// Teleportation, measured and corrected, over a pair that is entangled as far as `pair` says.
//
// The outputs are those of the state that arrives; at pair = pi/2 it is the one that was sent.
//
// Source: Bennett et al. 1993, Phys. Rev. Lett. 70, 1895; closed form in the tests.
OPENQASM 3.0;
include "stdgates.inc";

pragma qlazy.observable X q[2]
pragma qlazy.observable Y q[2]
pragma qlazy.observable Z q[2]

input float[64] theta;
input float[64] phi;
input float[64] pair;
qubit[3] q;
bit[2] c;

ry(theta) q[0];
rz(phi) q[0];
ry(pair) q[1];
cx q[1], q[2];
cx q[0], q[1];
h q[0];
c[0] = measure q[0];
c[1] = measure q[1];
if (c[1]) { x q[2]; }
if (c[0]) { z q[2]; }
