"""Second derivatives: the adjoint sweep of a circuit whose angles move.

Every state has its rate of change beside it. The ket and its own go forward, the bra O ket and its own back; a gate U
takes the pair (state, rate) to (U state, U rate + U' state), where U' is the rate of the gate. What a gate's cotangent
needs is Im <bra| sigma |ket>, and its rate Im <bra'| sigma |ket> + Im <bra| sigma |ket'>.

Forward mode over the sweep of :mod:`qlazy.simulator.kernels.sweep` (Pearlmutter 1994, Neural Computation 6, 147, for
nets).
"""
