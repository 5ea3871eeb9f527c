"""IBM's own client over servers of our own: what is sent is what IBM's servers would be sent.

The service, device, sampler, session and job are the client's classes. Only the part of it that
speaks HTTP is replaced, by one that runs the circuits on Aer without noise and answers in the
schema of IBM's servers. Qubits are measured and reset there by whatever the device calls it.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from ibm_quantum_schemas.common import CompressedTensorModel
from ibm_quantum_schemas.executor import version_2_0 as schema
from qiskit import QuantumCircuit
from qiskit.circuit import Measure, Reset
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import SamplerV2 as AerSampler
from qiskit_ibm_runtime import IBMBackend, IBMQuantumComputeService
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.fake_provider import FakeBoston
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS

from sqsnn.hardware.devices import Device

CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0:0::"
CHIP = FakeBoston()
# A change of the bits that a job answers with: register -> (rows, shots, bits).
Change = Callable[[dict[str, np.ndarray]], list[dict[str, np.ndarray]]]


class Server:
    """Takes jobs, keeps them, and answers questions about them, as the client's HTTP part does."""

    def __init__(self) -> None:
        self._instance = CRN
        self.jobs: dict[str, dict[str, Any]] = {}
        self.states: dict[str, dict[str, Any]] = {}  # of jobs that are not completed
        self.changes: dict[str, Change] = {}
        self.closed: list[str] = []  # sessions
        self.asked: list[str] = []  # numbers of the jobs whose results were fetched

    def program_run(self, **sent: Any) -> dict[str, Any]:
        """Take a job."""
        number = f"job-{len(self.jobs)}"
        self.jobs[number] = sent
        return {"id": number, "backend": sent["backend_name"]}

    def create_session(self, *_: Any) -> dict[str, Any]:
        """Open a session or a batch."""
        return {"id": "session-0"}

    def close_session(self, session_id: str) -> None:
        """Close it."""
        self.closed.append(session_id)

    def job_get(self, job_id: str, **_: Any) -> dict[str, Any]:
        """Describe a job."""
        if job_id not in self.jobs:
            raise RequestsApiError(f"no job {job_id}", status_code=404)
        sent = self.jobs[job_id]
        return {
            "id": job_id,
            "backend": sent["backend_name"],
            "program": {"id": sent["program_id"]},
            "tags": sent["job_tags"],
            "state": self.states.get(job_id, {"status": "Completed"}),
        }

    def jobs_get(self, *, job_tags: Sequence[str], **_: Any) -> dict[str, Any]:
        """List the jobs of some tags, the newest first."""
        found = [n for n, sent in self.jobs.items() if set(job_tags) <= set(sent["job_tags"])]
        return {"jobs": [self.job_get(number) for number in found[::-1]], "count": len(found)}

    def job_metadata(self, job_id: str) -> dict[str, Any]:
        """Tell the bill."""
        return {"usage": {"status": "complete", "qpu_charge_time_seconds": 2.0}}

    def cloud_usage(self) -> dict[str, Any]:
        """Tell what the account has used."""
        return {}

    def job_results(self, job_id: str) -> str:
        """Run a job."""
        self.asked.append(job_id)
        model = schema.ParamsModel.model_validate(self.jobs[job_id]["params"])
        program, _ = QUANTUM_PROGRAM_PARAMS_CONVERTERS["v2.0"].decoder(model)
        (item,) = program.items
        bits = _run(item.circuit, item.circuit_arguments, program.shots)
        answers = self.changes.get(job_id, lambda whole: [whole])(bits)
        result = schema.QuantumProgramResultModel(
            data=[
                schema.QuantumProgramResultItemModel(
                    results={
                        name: CompressedTensorModel.from_numpy(array)
                        for name, array in each.items()
                    },
                    metadata=schema.ItemMetadataModel(),
                )
                for each in answers
            ],
            metadata=schema.MetadataModel(chunk_timing=[]),
            passthrough_data=model.quantum_program.passthrough_data,
            semantic_role=model.quantum_program.semantic_role,
        )
        return result.model_dump_json()


def _run(circuit: QuantumCircuit, angles: np.ndarray, shots: int) -> dict[str, np.ndarray]:
    plain = {"measure_2": Measure(), "reset_2": Reset()}
    known = circuit.copy_empty_like()
    for step in circuit.data:
        known.append(step.replace(operation=plain.get(step.operation.name, step.operation)))
    simulator = AerSimulator(method="statevector", seed_simulator=0)
    simulator.set_max_qubits(known.num_qubits)
    block: Any = (known, {tuple(circuit.parameters): angles}, shots)
    result = AerSampler.from_backend(simulator, seed=0).run([block]).result()[0]
    return {name: bits.to_bool_array(order="little") for name, bits in dict(result.data).items()}


class _Service(IBMQuantumComputeService):
    """The client's account, which has logged in nowhere."""

    def __init__(self, server: Server) -> None:
        self._channel = "ibm_quantum_platform"
        self._api_clients: Any = {CRN: server}
        self._active_api_client: Any = server
        self._backend_instance_groups: Any = []
        self._all_instances: Any = [{"crn": CRN}]

    def __new__(cls, server: Server) -> "_Service":
        return object.__new__(cls)

    def backend(self, name: str, **_: Any) -> "_Boston":  # type: ignore[override]
        return _Boston(self)

    def _create_backend_obj(self, *_: Any, **__: Any) -> "_Boston":  # type: ignore[override]
        return _Boston(self)


class _Boston(IBMBackend):
    """The client's device, with the description of a snapshot."""

    def __init__(self, service: IBMQuantumComputeService) -> None:
        super().__init__(CHIP.configuration(), service, None, instance=CRN)  # type: ignore[arg-type]

    @property
    def target(self) -> Any:
        return CHIP.target

    def properties(self, *_: Any, **__: Any) -> Any:
        return CHIP.properties()

    def status(self) -> Any:
        return SimpleNamespace(operational=True, status_msg="active")


def account_of(server: Server) -> IBMQuantumComputeService:
    """The client's account at a server."""
    return _Service(server)


def device_of(server: Server) -> Device:
    """A device at a server."""
    return Device("ibm:boston", _Boston(_Service(server)), "ibm")
