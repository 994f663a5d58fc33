@0xb1f2a6d07c8e3522;
using V = import "/protocol/values.capnp";
# Agent and master. Statuses are repeated until acknowledged; launches and kills until a status answers them.

struct RegisterAgent {            # agent → leading master, at first contact and whenever the leader or the link is new
  agentId @0 :Text; hostname @1 :Text;
  address @2 :Text;               # host:port of the agent's own server
  resources @3 :V.Resources; attributes @4 :List(V.Attribute);
  bootId @5 :Text; version @6 :Text;
  tasks @7 :List(V.TaskStatus);   # newest status of every task the agent still remembers
  isolation @8 :List(Text);       # what it can enforce: "cgroups-v1", "namespaces", …
  reserved @9 :List(V.StaticReservation);   # parts of `resources`
  volumes @10 :List(V.Volume);    # all that it keeps
  canResize @11 :Bool;            # it understands resizeTasks
}
struct AgentRegistered { agentId @0 :Text; }
struct AgentRefused { reason @0 :Text; text @1 :Text; }
struct StatusUpdates { statuses @0 :List(V.TaskStatus); }
struct StatusAcknowledgement { frameworkId @0 :Text; taskId @1 :Text; launch @2 :UInt64; sequence @3 :UInt64; }
struct AcknowledgeStatuses { acknowledgements @0 :List(StatusAcknowledgement); }
struct Launch { launch @0 :UInt64; frameworkId @1 :Text; role @2 :Text; description @3 :V.TaskDescription; user @4 :Text; }
struct LaunchTasks { launches @0 :List(Launch); }
struct Kill { frameworkId @0 :Text; taskId @1 :Text; launch @2 :UInt64; graceNs @3 :Int64; reason @4 :V.TaskReason; }
struct KillTasks { kills @0 :List(Kill); }
# What an agent is to keep, and what not any more: repeated until reports say that it is so.
struct KeepVolumes { volumes @0 :List(V.Volume); }             # made if they are not there, and of this size from now on
struct RemoveVolumes { volumes @0 :List(V.Volume); }           # with all that is in them
struct VolumeReport { volume @0 :V.Volume; message @1 :Text; } # state: ready, failed (kept as it was, if it was), gone
struct VolumeReports { reports @0 :List(VolumeReport); }
struct Resize { frameworkId @0 :Text; taskId @1 :Text; launch @2 :UInt64; number @3 :UInt64; resources @4 :V.Resources; }   # resources: all of the task's
struct ResizeTasks { resizes @0 :List(Resize); }
struct FrameworkUsage { frameworkId @0 :Text; role @1 :Text; usage @2 :V.ContainerUsage; containers @3 :UInt32; }
struct AgentUsage { frameworks @0 :List(FrameworkUsage); }   # sums over the running containers of each framework

struct AgentMessage { union {
  unset @0 :Void;
  registerAgent @1 :RegisterAgent; agentRegistered @2 :AgentRegistered; agentRefused @3 :AgentRefused;
  statusUpdates @4 :StatusUpdates; acknowledgeStatuses @5 :AcknowledgeStatuses;
  launchTasks @6 :LaunchTasks; killTasks @7 :KillTasks; agentUsage @8 :AgentUsage;
  keepVolumes @9 :KeepVolumes; removeVolumes @10 :RemoveVolumes; volumeReports @11 :VolumeReports;
  resizeTasks @12 :ResizeTasks;
} }
