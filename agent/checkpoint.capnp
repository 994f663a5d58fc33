@0xbb27d40f61c8e988;
using V = import "/protocol/values.capnp";
# What an agent's local log holds.

struct AgentNamed { agentId @0 :Text; }
struct BootNoted { bootId @0 :Text; }
struct TaskAccepted { launch @0 :UInt64; frameworkId @1 :Text; role @2 :Text; description @3 :V.TaskDescription; user @4 :Text; }
struct StateChanged { status @0 :V.TaskStatus; startTicks @1 :UInt64; }   # startTicks: field 22 of /proc/pid/stat, with the pid names one process
struct StatusAcknowledged { frameworkId @0 :Text; taskId @1 :Text; launch @2 :UInt64; sequence @3 :UInt64; }
struct KillAccepted { frameworkId @0 :Text; taskId @1 :Text; launch @2 :UInt64; graceNs @3 :Int64; reason @4 :V.TaskReason; }
struct TaskForgotten { frameworkId @0 :Text; taskId @1 :Text; launch @2 :UInt64; }

struct VolumeKept { volume @0 :V.Volume; }                            # made, or to be made, or of another size
struct VolumeDropped { volume @0 :Text; number @1 :UInt64; }          # what is in it is being deleted
struct VolumeWiped { volume @0 :Text; number @1 :UInt64; }            # nothing is left of it

struct ClusterJoined { origin @0 :Text; }                           # whose masters alone are followed from now on

struct CheckpointEvent { union {
  unset @0 :Void;
  agentNamed @1 :AgentNamed; bootNoted @2 :BootNoted; taskAccepted @3 :TaskAccepted; stateChanged @4 :StateChanged;
  statusAcknowledged @5 :StatusAcknowledged; killAccepted @6 :KillAccepted; taskForgotten @7 :TaskForgotten;
  clusterJoined @8 :ClusterJoined;
  volumeKept @9 :VolumeKept; volumeDropped @10 :VolumeDropped; volumeWiped @11 :VolumeWiped;
} }
struct CheckpointBatch { stampNs @0 :Int64; events @1 :List(CheckpointEvent); }
