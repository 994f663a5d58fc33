@0xa95c1e7b30d84f62;
using S = import "/rlog/spaces.capnp";
# What a log holds that runs without masters. Structs and the union only grow: every log ever written stays readable.

struct LeadershipTaken { term @0 :UInt64; address @1 :Text; }
struct LogFounded { origin @0 :Text; }         # what tells this log from others of its name, kept over recoveries
struct LogRestored { revisionsSkipped @0 :UInt64; }   # from a backup: what was numbered after it is not known

struct LogEvent { union {
  unset @0 :Void;
  leadershipTaken @1 :LeadershipTaken; logFounded @2 :LogFounded; logRestored @3 :LogRestored;
  spaceOpened @4 :S.SpaceOpened; spaceChanged @5 :S.SpaceChanged; spaceRemoved @6 :S.SpaceRemoved;
  leaseAcquired @7 :S.LeaseAcquired; leaseEnded @8 :S.LeaseEnded;
  journalClaimed @9 :S.JournalClaimed; recordsAppended @10 :S.RecordsAppended; journalTruncated @11 :S.JournalTruncated;
} }
struct LogBatch { stampNs @0 :Int64; events @1 :List(LogEvent); }
