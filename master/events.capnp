@0x8e1d5fb3c6a90277;
using V = import "/protocol/values.capnp";
using S = import "/rlog/spaces.capnp";
# What the masters' log holds. Structs and the union only grow: every log ever written stays readable.

struct LeadershipTaken { term @0 :UInt64; address @1 :Text; }
struct FrameworkSubscribed {
  frameworkId @0 :Text; token @1 :Text; name @2 :Text; principal @3 :Text; user @4 :Text; hostname @5 :Text;
  roles @6 :List(Text); failoverTimeoutNs @7 :Int64; labels @8 :List(V.Label);
}
struct FrameworkDisconnected { frameworkId @0 :Text; }
struct FrameworkLeft { frameworkId @0 :Text; }          # until it subscribes again: it is removed with its last task
struct FrameworkRemoved { frameworkId @0 :Text; reason @1 :Text; }
struct RolesSuppressed { frameworkId @0 :Text; roles @1 :List(Text); }
struct RolesRevived { frameworkId @0 :Text; roles @1 :List(Text); }
struct AgentAdmitted {
  agentId @0 :Text; hostname @1 :Text; address @2 :Text; principal @3 :Text;
  resources @4 :V.Resources; attributes @5 :List(V.Attribute); bootId @6 :Text; version @7 :Text; isolation @8 :List(Text);
  reserved @9 :List(V.StaticReservation);
}
struct AgentUnreachable { agentId @0 :Text; }
struct TaskLaunched { launch @0 :UInt64; frameworkId @1 :Text; agentId @2 :Text; role @3 :Text; description @4 :V.TaskDescription; draws @5 :List(V.Draw); }
struct TaskUpdated { status @0 :V.TaskStatus; isFromAgent @1 :Bool; }
struct UpdateAcknowledged { frameworkId @0 :Text; taskId @1 :Text; launch @2 :UInt64; sequence @3 :UInt64; }
struct KillRequested { frameworkId @0 :Text; taskId @1 :Text; graceNs @2 :Int64; reason @3 :V.TaskReason; }
struct WeightSet { role @0 :Text; weightMilli @1 :Int64; }
struct QuotaSet { role @0 :Text; guarantee @1 :List(V.Quantity); limit @2 :List(V.Quantity); }   # nothing of both: none
struct ResourcesReserved { agentId @0 :Text; reservation @1 :V.Reservation; source @2 :Text; }   # its resources are what it gains
struct ResourcesUnreserved { agentId @0 :Text; reservation @1 :Text; resources @2 :V.Resources; }   # back to what it was refined out of
struct ReservationEnding { agentId @0 :Text; reservation @1 :Text; }   # what is in use of it is let go when that has ended
struct PolicySet { role @0 :Text; least @1 :List(V.Quantity); sharers @2 :UInt32; isOpen @3 :Bool; reclaims @4 :Bool; }   # nothing: none
struct VolumeCreated { agentId @0 :Text; volume @1 :V.Volume; operationId @2 :Text; }
struct VolumeResizing { agentId @0 :Text; volume @1 :Text; sizeBytes @2 :UInt64; operationId @3 :Text; }
struct VolumeDoomed { agentId @0 :Text; volume @1 :Text; operationId @2 :Text; }
struct VolumeSettled { agentId @0 :Text; volume @1 :Text; sizeBytes @2 :UInt64; fault @3 :Text; }   # by its agent; fault: it stays as it was, and why
struct VolumeGone { agentId @0 :Text; volume @1 :Text; }           # its agent has nothing of it any more
struct OperationUpdated { status @0 :V.OperationStatus; }
struct OperationAcknowledged { frameworkId @0 :Text; operationId @1 :Text; }
struct BookingSet { booking @0 :V.Booking; }       # or the next window of one that is known
struct BookingRemoved { bookingId @0 :Text; }
struct AgentRemoved { agentId @0 :Text; }      # forgotten; its tasks are gone
struct AgentDeactivated { agentId @0 :Text; by @1 :Text; }               # nothing of it is offered; its tasks run on
struct AgentActivated { agentId @0 :Text; by @1 :Text; }                 # neither deactivated nor draining any more
struct DrainBegun { agentId @0 :Text; by @1 :Text; killNs @2 :Int64; graceNs @3 :Int64; marksGone @4 :Bool; }   # killNs: when its tasks are killed
struct AgentDeclaredGone { agentId @0 :Text; by @1 :Text; }              # its tasks are dead; it may not come back
struct GuardLifted { by @0 :Text; untilNs @1 :Int64; }        # until then silent agents are given up however many they are
struct WindowScheduled { name @0 :Text; agents @1 :List(Text); startNs @2 :Int64; endNs @3 :Int64; graceNs @4 :Int64; by @5 :Text; }   # endNs 0: until it is ended
struct WindowBegun { name @0 :Text; }                                    # its agents drain
struct WindowEnded { name @0 :Text; by @1 :Text; }                       # by: who ended it early; those that drain for it are active again
struct ResizeOrdered { frameworkId @0 :Text; taskId @1 :Text; number @2 :UInt64; resources @3 :V.Resources; }   # all of the task's, as they shall be
struct ResizeSettled { frameworkId @0 :Text; taskId @1 :Text; number @2 :UInt64; isDone @3 :Bool; }              # by its agent
struct LogRestored { launchesSkipped @0 :UInt64; frameworksSkipped @1 :UInt64; }   # from a backup: what was numbered after it is not known
struct ClusterFounded { origin @0 :Text; }     # what tells this cluster from others of its name, kept over recoveries

struct Event { union {
  unset @0 :Void;
  leadershipTaken @1 :LeadershipTaken;
  frameworkSubscribed @2 :FrameworkSubscribed; frameworkDisconnected @3 :FrameworkDisconnected; frameworkRemoved @4 :FrameworkRemoved;
  rolesSuppressed @5 :RolesSuppressed; rolesRevived @6 :RolesRevived;
  agentAdmitted @7 :AgentAdmitted; agentUnreachable @8 :AgentUnreachable;
  taskLaunched @9 :TaskLaunched; taskUpdated @10 :TaskUpdated; updateAcknowledged @11 :UpdateAcknowledged;
  killRequested @12 :KillRequested; weightSet @13 :WeightSet;
  agentRemoved @14 :AgentRemoved; logRestored @15 :LogRestored;
  spaceOpened @16 :S.SpaceOpened; spaceChanged @17 :S.SpaceChanged; spaceRemoved @18 :S.SpaceRemoved;
  leaseAcquired @19 :S.LeaseAcquired; leaseEnded @20 :S.LeaseEnded;
  clusterFounded @21 :ClusterFounded;
  journalClaimed @22 :S.JournalClaimed; recordsAppended @23 :S.RecordsAppended; journalTruncated @24 :S.JournalTruncated;
  frameworkLeft @25 :FrameworkLeft; quotaSet @26 :QuotaSet;
  agentDeactivated @27 :AgentDeactivated; agentActivated @28 :AgentActivated; drainBegun @29 :DrainBegun; agentDeclaredGone @30 :AgentDeclaredGone;
  resourcesReserved @31 :ResourcesReserved; resourcesUnreserved @32 :ResourcesUnreserved; reservationEnding @33 :ReservationEnding;
  policySet @34 :PolicySet;
  guardLifted @35 :GuardLifted;
  volumeCreated @36 :VolumeCreated; volumeResizing @37 :VolumeResizing; volumeDoomed @38 :VolumeDoomed;
  volumeSettled @39 :VolumeSettled; volumeGone @40 :VolumeGone;
  operationUpdated @41 :OperationUpdated; operationAcknowledged @42 :OperationAcknowledged;
  windowScheduled @43 :WindowScheduled; windowBegun @44 :WindowBegun; windowEnded @45 :WindowEnded;
  resizeOrdered @46 :ResizeOrdered; resizeSettled @47 :ResizeSettled;
  bookingSet @48 :BookingSet; bookingRemoved @49 :BookingRemoved;
} }
struct Batch { stampNs @0 :Int64; events @1 :List(Event); }
