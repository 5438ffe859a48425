import os

# Idle threads of OpenMP wait by spinning, which counts as CPU time and holds up whatever else runs on the machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded, so before it is imported
