"""Noise for tests/reference.py, from rates; shares no code with `sqsnn` either."""

import reference
from reference import Matrix


def noise(
    channels: int,
    memory_qubits: int,
    *,
    depolarising_1q: float = 0.0,
    depolarising_2q: float = 0.0,
    amplitude_damping_1q: float = 0.0,
    amplitude_damping_2q: float = 0.0,
    phase_damping_1q: float = 0.0,
    phase_damping_2q: float = 0.0,
    idle_depolarising: float = 0.0,
    idle_amplitude_damping: float = 0.0,
    idle_phase_damping: float = 0.0,
    false_spike: float = 0.0,
    missed_spike: float = 0.0,
) -> reference.Noise:
    """Depolarising on a gate's qubits together, then decay and dephasing of each of its qubits."""
    on_gates = {
        1: (depolarising_1q, amplitude_damping_1q, phase_damping_1q),
        2: (depolarising_2q, amplitude_damping_2q, phase_damping_2q),
    }
    on_idle = (idle_depolarising, idle_amplitude_damping, idle_phase_damping)

    def after_gate(rho: Matrix, qubits: tuple[int, ...], total: int) -> Matrix:
        return disturb(rho, qubits, total, *on_gates[len(qubits)])

    def idle(rho: Matrix) -> Matrix:
        for m in range(memory_qubits):
            rho = disturb(rho, (m,), memory_qubits, *on_idle)
        return rho

    readout = reference.readout_errors(channels, false_spike, missed_spike)
    return reference.Noise(after_gate, idle, readout)


def disturb(
    rho: Matrix, qubits: tuple[int, ...], total: int, p: float, gamma: float, lam: float
) -> Matrix:
    """The three channels of one place, in order."""
    rho = reference.depolarise(rho, qubits, total, p)
    for qubit in qubits:
        rho = reference.apply_kraus(rho, reference.amplitude_damping(gamma), qubit, total)
        rho = reference.apply_kraus(rho, reference.phase_damping(lam), qubit, total)
    return rho
