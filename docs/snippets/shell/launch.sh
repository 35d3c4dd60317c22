# Sends the study and the code that it names, follows the job, and exits as the study does. Again: goes on with its run.
convfleet launch my-study.yaml --on http://127.0.0.1:8265 --runs /mnt/shared/runs
