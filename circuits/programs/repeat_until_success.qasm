// Repeat until success: a qubit is rotated, and accepted only where its ancilla is found in 0.
//
// A round that fails begins anew, so that the accepted state is the one after success, whatever the number of rounds.
//
// Source: Paetznick, Svore 2014, arXiv 1311.1074.
OPENQASM 3.0;
include "stdgates.inc";

const int rounds = 18;

pragma qlazy.observable Z q
pragma qlazy.observable X q

input float[64] a;
input float[64] b;
input float[64] c;
qubit q;
qubit ancilla;
bit failed = 1;

@qlazy.bound rounds
while (failed) {
  reset q;
  reset ancilla;
  ry(a) q;
  ry(b) ancilla;
  crx(c) ancilla, q;
  h ancilla;
  failed = measure ancilla;
}
