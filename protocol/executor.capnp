@0x9ad0c7e3b85f1744;
using V = import "/protocol/values.capnp";
# Executor and agent, over a unix socket in the container's sandbox.

struct SubscribeExecutor { executorId @0 :Text; frameworkId @1 :Text; token @2 :Text; tasks @3 :List(V.TaskStatus); }
struct ExecutorSubscribed { agentId @0 :Text; hostname @1 :Text; }
struct LaunchInExecutor { launch @0 :UInt64; description @1 :V.TaskDescription; }
struct KillInExecutor { taskId @0 :Text; graceNs @1 :Int64; }
struct ExecutorStatus { status @0 :V.TaskStatus; }
struct ExecutorAcknowledge { taskId @0 :Text; sequence @1 :UInt64; }
struct ExecutorNote { content @0 :Data; }
struct ShutdownExecutor { graceNs @0 :Int64; }

struct ExecutorMessage { union {
  unset @0 :Void;
  subscribeExecutor @1 :SubscribeExecutor; executorSubscribed @2 :ExecutorSubscribed;
  launchInExecutor @3 :LaunchInExecutor; killInExecutor @4 :KillInExecutor;
  executorStatus @5 :ExecutorStatus; executorAcknowledge @6 :ExecutorAcknowledge;
  executorNote @7 :ExecutorNote; shutdownExecutor @8 :ShutdownExecutor;
} }
