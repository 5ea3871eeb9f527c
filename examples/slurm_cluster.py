"""Workers for `sqsnn-bench compare --cluster ADDRESS` as jobs of Slurm.

    pip install 'sqsnn-bench[slurm]'
    python examples/slurm_cluster.py --workers 16 --walltime 02:00:00
    python examples/slurm_cluster.py --script      # prints the job and starts nothing

Start it where jobs can be submitted and nodes can connect to, and leave it running: it holds the
scheduler. Every worker is one process with one thread, which runs one trial at a time.
"""

import argparse
import shutil
import signal

from dask_jobqueue import SLURMCluster


def main() -> None:
    """Submit the jobs, print the address, and wait."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=4, help="jobs, one worker each")
    parser.add_argument("--memory", default="4GB", help="of each")
    parser.add_argument("--walltime", default="01:00:00", help="of each")
    parser.add_argument("--partition", help="where they run")
    parser.add_argument("--interface", help="network that nodes can reach, such as ib0")
    parser.add_argument("--script", action="store_true", help="print the job and stop")
    options = parser.parse_args()
    cluster = SLURMCluster(
        cores=1,
        processes=1,
        memory=options.memory,
        walltime=options.walltime,
        queue=options.partition,
        interface=options.interface,
        # sbatch passes on the rest of the environment, SQSNN_DATA with it.
        job_script_prologue=["export OMP_NUM_THREADS=1"],
    )
    if options.script:
        print(cluster.job_script())
        return
    if shutil.which("sbatch") is None:
        parser.error("there is no sbatch here: start this where jobs of Slurm can be submitted")
    cluster.scale(options.workers)
    print(f"sqsnn-bench compare study.toml --cluster {cluster.scheduler_address}", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    cluster.close()


if __name__ == "__main__":
    main()
