@0xd2a1f0c3b4e59610;
# Values that several links share. Fields are only ever added; the first member of an enum or union is "not set".

struct Scalar { name @0 :Text; amount @1 :Int64; }          # thousandths; mem and disk: bytes
struct Range { first @0 :UInt64; last @1 :UInt64; }         # both ends belong to it
struct Ranges { name @0 :Text; ranges @1 :List(Range); }
struct Items { name @0 :Text; items @1 :List(Text); }
struct Resources { scalars @0 :List(Scalar); ranges @1 :List(Ranges); sets @2 :List(Items); }

struct Reservation {              # of one agent; what was refined out of it is in it no more
  id @0 :Text;                    # unique on the agent
  role @1 :Text; resources @2 :Resources;
  parent @3 :Text;                # the reservation that it was refined out of; empty: of what is unreserved
  isStatic @4 :Bool;              # by the agent's configuration
  principal @5 :Text;             # who made it
  frameworkId @6 :Text;           # whose it is, if a framework's
  labels @7 :List(Label);
  expiresNs @8 :Int64;            # when it ends; 0: never
  isKept @9 :Bool;                # when its framework has ended
}
struct StaticReservation { role @0 :Text; resources @1 :Resources; }
struct Draw { reservation @0 :Text; resources @1 :Resources; }   # what is taken of a reservation

enum VolumeState { unknown @0; creating @1; ready @2; resizing @3; destroying @4; gone @5; failed @6; }
struct Volume {                   # reserved disk of one agent that outlives tasks
  id @0 :Text;                    # unique on the agent
  number @1 :UInt64;              # tells it from others that had its id; never reused in a cluster
  reservation @2 :Text;           # whose disk it takes
  role @3 :Text;                  # of that reservation
  sizeBytes @4 :UInt64;
  isShared @5 :Bool;              # several tasks may use it at once
  principal @6 :Text;             # who made it
  frameworkId @7 :Text;           # and for which framework, if for one
  state @8 :VolumeState;
}
struct Mount { volume @0 :Text; path @1 :Text; isReadOnly @2 :Bool; }   # path: in the sandbox

enum OperationState { unknown @0; pending @1; finished @2; failed @3; }
struct OperationStatus { operationId @0 :Text; frameworkId @1 :Text; agentId @2 :Text; state @3 :OperationState; message @4 :Text; stampNs @5 :Int64; }

struct Booking {                  # a standing order to reserve a part of some agents, for a while, again and again, or for ever
  id @0 :Text; role @1 :Text;
  shareMillionths @2 :UInt32;     # of each agent's amounts; 0: `resources` of each
  resources @3 :Resources;
  attributes @4 :List(Attribute); # that an agent must have; none: every agent
  cron @5 :Text; durationNs @6 :Int64;   # when windows begin (UTC), and how long they are; no cron: one window
  leadNs @7 :Int64;               # how long before a window what becomes free is put by for it
  labels @8 :List(Label); principal @9 :Text;
  isKilling @10 :Bool;            # tasks that are in the way when a window begins
  beginNs @11 :Int64; endNs @12 :Int64;  # the window that is, or comes next; endNs 0: it does not end
}
struct Announcement { role @0 :Text; resources @1 :Resources; beginNs @2 :Int64; endNs @3 :Int64; }   # of what a booking takes of an agent

struct Quantity { name @0 :Text; amount @1 :Int64; }         # thousandths, or bytes; of ranges and sets how many
struct Attribute { name @0 :Text; value @1 :Text; }         # of an agent: rack, zone
# Of an agent: an attribute of it has one of these values, or none of them; no values: any. `hostname` and `agent` speak of what it is itself.
struct Constraint { attribute @0 :Text; values @1 :List(Text); isNegated @2 :Bool; }
struct Label { name @0 :Text; value @1 :Text; }             # of a task or framework, opaque to us
struct Variable { name @0 :Text; value @1 :Text; }          # of a task's environment

struct Uri { value @0 :Text; extract @1 :Bool; executable @2 :Bool; filename @3 :Text; }

struct ServicePort { number @0 :UInt16; name @1 :Text; protocol @2 :Text; }   # protocol: tcp or udp
struct Discovery {                # how others find what a task serves; masters carry it and say where the task is
  name @0 :Text;                  # of the service; empty: it serves nothing
  visibility @1 :Text;            # framework, cluster or external: who is meant to find it
  ports @2 :List(ServicePort);
}

struct TaskDescription {
  taskId @0 :Text;                # chosen by the framework, unique in it
  name @1 :Text;
  command @2 :List(Text);         # argv; shell text is ["/bin/sh", "-c", text]
  resources @3 :Resources;
  environment @4 :List(Variable);
  uris @5 :List(Uri);
  user @6 :Text;                  # empty: the agent's default
  killGraceNs @7 :Int64;          # SIGTERM to SIGKILL; 0: the agent's default
  labels @8 :List(Label);
  volumes @9 :List(Mount);
  replaces @10 :Text;             # launch it only once that task of the framework is known to have ended; empty: at once
  limits @11 :Resources;          # of cpus and mem, what it may use beyond what is set aside for it; not named: no more
  completionNs @12 :Int64;        # how long it may run; its agent ends it then. 0: for ever
  killSignal @13 :UInt16;         # what asks it to end, SIGKILL follows after the grace; 0: SIGTERM
  priority @14 :Int32;            # among preemptible tasks: the lower goes first
  isPreemptible @15 :Bool;        # it may be ended for a role that has less than its share
  discovery @16 :Discovery;
}

enum TaskState {
  unknown @0; staging @1; starting @2; running @3; killing @4;
  finished @5; failed @6; killed @7; error @8; lost @9; dropped @10; unreachable @11; gone @12;
}

enum TaskReason {
  none @0; commandExited @1; killedByFramework @2; killedByOperator @3; frameworkRemoved @4;
  memoryLimit @5; launchFailed @6; fetchFailed @7; invalidTask @8; agentUnreachable @9;
  agentReturned @10; agentForgot @11; reconciliation @12; agentRestarted @13; supervisorLost @14; agentRemoved @15;
  agentDraining @16; agentGone @17; resized @18; resizeRefused @19; completionTime @20; preempted @21;
}

struct TaskStatus {
  frameworkId @0 :Text; taskId @1 :Text; agentId @2 :Text;
  launch @3 :UInt64;              # the launch this speaks of; never reused in a cluster
  sequence @4 :UInt64;            # counts the statuses of one launch from 1; 0: an answer outside the stream
  state @5 :TaskState; reason @6 :TaskReason; message @7 :Text;
  stampNs @8 :Int64;
  exitCode @9 :Int32;             # meaningful when exited and signal = 0
  signal @10 :UInt16;             # that ended it; 0 none
  pid @11 :UInt32;                # on the agent's machine, first process of the container
  resize @12 :UInt64;             # number of the newest resize of the launch that the agent has settled
  resizeRefused @13 :Bool;        # and whether it could not be done
}

struct ContainerUsage {
  cpuNs @0 :UInt64; throttledNs @1 :UInt64; periods @2 :UInt64; throttledPeriods @3 :UInt64;
  memoryBytes @4 :UInt64; memoryPeakBytes @5 :UInt64; pids @6 :UInt32; stampNs @7 :Int64;
}
