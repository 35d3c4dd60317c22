# On each worker. --num-cpus: the CPUs that trials may take, without it all that the machine has; GPUs are found.
export RAY_AUTH_MODE=token RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=1 RAY_USAGE_STATS_ENABLED=0
ray start --address=head:6379 --num-cpus=2
