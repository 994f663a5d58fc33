@0xc5d3e4917f0b6833;
using V = import "/protocol/values.capnp";
# Framework and leading master. Every call carries a number of the caller's; the answer repeats it.

struct Subscribe {
  call @0 :UInt64;
  frameworkId @1 :Text;           # empty: a new framework, unless the token is known
  token @2 :Text;                 # random, made once by the scheduler: a repeated first call finds the same framework
  name @3 :Text; user @4 :Text; hostname @5 :Text;
  roles @6 :List(Text);
  failoverTimeoutNs @7 :Int64;    # how long its tasks live on without it
  labels @8 :List(V.Label);
  filters @9 :List(OfferFilter);  # of the offers that it can use, those that one of the filters of their role lets through; none: all
  takesInverse @10 :Bool;         # it understands inverse offers
}
struct OfferFilter { role @0 :Text; constraints @1 :List(V.Constraint); least @2 :List(V.Quantity); }   # no role: in all of them
struct Subscribed { call @0 :UInt64; frameworkId @1 :Text; tasks @2 :List(V.TaskStatus); }  # tasks: all that are not terminal

struct LaunchTask {
  description @0 :V.TaskDescription;
  reservations @1 :List(Text);    # take from these first, in this order; none: from all that are offered, deepest first; "-": from none
}
struct KillTask { taskId @0 :Text; graceNs @1 :Int64; }
struct Reserve {
  operationId @0 :Text;
  reservation @1 :Text;           # its name on the agent; a known one grows, and has its end put off; empty: the masters choose
  role @2 :Text;                  # one of the framework's, or below
  resources @3 :V.Resources;      # offered
  source @4 :Text;                # the reservation that they are taken from; empty: what is unreserved
  labels @5 :List(V.Label);
  ttlNs @6 :Int64;                # 0: no end
  isKept @7 :Bool;                # when the framework has ended
}
struct Unreserve { operationId @0 :Text; reservation @1 :Text; resources @2 :V.Resources; }   # no resources: all of it that is offered
struct CreateVolume { operationId @0 :Text; volume @1 :Text; reservation @2 :Text; sizeBytes @3 :UInt64; isShared @4 :Bool; }
struct ResizeVolume { operationId @0 :Text; volume @1 :Text; sizeBytes @2 :UInt64; }
struct DestroyVolume { operationId @0 :Text; volume @1 :Text; }   # with all that is in it
struct Operation { union {
  unset @0 :Void; launchTask @1 :LaunchTask; killTask @2 :KillTask;
  reserve @3 :Reserve; unreserve @4 :Unreserve;
  createVolume @5 :CreateVolume; resizeVolume @6 :ResizeVolume; destroyVolume @7 :DestroyVolume;
} }

struct Accept { call @0 :UInt64; offers @1 :List(Text); operations @2 :List(Operation); refuseNs @3 :Int64; }
struct Decline { call @0 :UInt64; offers @1 :List(Text); refuseNs @2 :Int64; }
struct Revive { call @0 :UInt64; roles @1 :List(Text); }      # no roles: all
struct Suppress { call @0 :UInt64; roles @1 :List(Text); }
# What it would run in a role from now on; nothing: it wants no offers there. Launches are taken off; it is forgotten with the subscription.
struct Want { amounts @0 :List(V.Quantity); count @1 :UInt32; constraints @2 :List(V.Constraint); }   # amounts: of one task
struct Request { call @0 :UInt64; role @1 :Text; wants @2 :List(Want); }
# In roles without offers: what every agent has free, then what changes; and launches that are checked against it when they are decided.
struct Observe { call @0 :UInt64; role @1 :Text; }
struct AgentState {
  agentId @0 :Text; hostname @1 :Text; address @2 :Text; attributes @3 :List(V.Attribute);
  free @4 :V.Resources; version @5 :UInt64;      # version: grows with each change; 0: the agent is gone
}
struct ClusterView { role @0 :Text; agents @1 :List(AgentState); isFirst @2 :Bool; }   # isFirst: forget what was seen before
struct Placement { agentId @0 :Text; version @1 :UInt64; launches @2 :List(V.TaskDescription); }   # version: it must not have changed since; 0: what is launched must fit
struct Transact { call @0 :UInt64; role @1 :Text; placements @2 :List(Placement); isAllOrNothing @3 :Bool; }
struct Conflict { placement @0 :UInt32; reason @1 :Text; text @2 :Text; }              # placement: its place in the transaction, from 0
struct Transacted { call @0 :UInt64; isCommitted @1 :Bool; conflicts @2 :List(Conflict); }   # not committed: nothing of it was done
struct KillTasksCall { call @0 :UInt64; kills @1 :List(KillTask); }
struct ResizeTask { call @0 :UInt64; taskId @1 :Text; resources @2 :V.Resources; }   # cpus, mem or both as they shall be
struct Acknowledgement { taskId @0 :Text; launch @1 :UInt64; sequence @2 :UInt64; }
struct Acknowledge { acknowledgements @0 :List(Acknowledgement); }
struct Reconcile { call @0 :UInt64; tasks @1 :List(Text); }   # no tasks: all that are not terminal
struct Teardown { call @0 :UInt64; }
struct Leave { call @0 :UInt64; }
struct CallDone { call @0 :UInt64; refused @1 :Text; text @2 :Text; }   # refused: empty, or a reason's name

struct Offer {
  offerId @0 :Text; agentId @1 :Text; hostname @2 :Text; address @3 :Text; role @4 :Text;
  resources @5 :V.Resources; attributes @6 :List(V.Attribute);
  reserved @7 :List(V.Reservation);   # parts of `resources` that are reserved
  volumes @8 :List(V.Volume);         # not in `resources`
  isShared @9 :Bool;              # others may be offered the same: the first accept has it
  unavailableNs @10 :Int64; availableNs @11 :Int64;   # when its agent is going to be emptied, and when it is back; 0: not known
  bookings @12 :List(V.Announcement);  # of the agent, for other roles, that have begun to be announced
}
struct InverseOffer {                                 # please have nothing on this agent at that time
  offerId @0 :Text; agentId @1 :Text; hostname @2 :Text;
  unavailableNs @3 :Int64; availableNs @4 :Int64; tasks @5 :List(Text);   # of the framework, there; at most a thousand of them
}
struct InverseOffers { offers @0 :List(InverseOffer); }
struct InverseRescinded { offers @0 :List(Text); }    # it need not go, or has gone
struct AnswerInverse { call @0 :UInt64; offers @1 :List(Text); isAccepted @2 :Bool; refuseNs @3 :Int64; }   # a word to the operator; refuseNs: until it is asked again
# Some of its tasks stand where a role that has less than its share wants to run: those that have not ended by then are killed.
struct Recall { agentId @0 :Text; role @1 :Text; tasks @2 :List(Text); graceNs @3 :Int64; }
struct Recalls { recalls @0 :List(Recall); }
struct Offers { offers @0 :List(Offer); }
struct Rescinded { offers @0 :List(Text); }
struct Updates { statuses @0 :List(V.TaskStatus); }           # acknowledge each whose sequence is not 0
# How operations that have an id went: acknowledge each that has finished or failed.
struct OperationUpdates { statuses @0 :List(V.OperationStatus); }
struct AcknowledgeOperations { operations @0 :List(Text); }
struct ReconcileOperations { call @0 :UInt64; operations @1 :List(Text); }   # none: all that the masters remember
struct FrameworkFailed { reason @0 :Text; text @1 :Text; }    # evicted, torn down: the scheduler must stop

# What schedulers keep in the log, subscribed or not: requests and answers of rlog/spaces.capnp, in the link's order.
struct Keep { request @0 :Data; }
struct Kept { answer @0 :Data; }

struct FrameworkMessage { union {
  unset @0 :Void;
  subscribe @1 :Subscribe; subscribed @2 :Subscribed;
  accept @3 :Accept; decline @4 :Decline; revive @5 :Revive; suppress @6 :Suppress;
  killTasks @7 :KillTasksCall; acknowledge @8 :Acknowledge; reconcile @9 :Reconcile; teardown @10 :Teardown;
  callDone @11 :CallDone;
  offers @12 :Offers; rescinded @13 :Rescinded; updates @14 :Updates; frameworkFailed @15 :FrameworkFailed;
  keep @16 :Keep; kept @17 :Kept;
  leave @18 :Leave;
  request @19 :Request;
  operationUpdates @20 :OperationUpdates; acknowledgeOperations @21 :AcknowledgeOperations;
  reconcileOperations @22 :ReconcileOperations;
  inverseOffers @23 :InverseOffers; inverseRescinded @24 :InverseRescinded; answerInverse @25 :AnswerInverse;
  resizeTask @26 :ResizeTask;
  observe @27 :Observe; clusterView @28 :ClusterView; transact @29 :Transact; transacted @30 :Transacted;
  recalls @31 :Recalls;
} }
