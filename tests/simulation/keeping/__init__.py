"""What schedulers keep in the log, under the cluster's faults: real keepers, real masters."""
