@0xa4c81b90d2e7f366;
# Between replicas of one log.

struct Entry { index @0 :UInt64; term @1 :UInt64; command @2 :Data; }
struct RequestVote { term @0 :UInt64; isPreVote @1 :Bool; isForced @2 :Bool; lastIndex @3 :UInt64; lastTerm @4 :UInt64; clusterId @5 :Text; }
# isAmnesiac: the voter does not know what it promised before.
# removedAt: a committed entry, and its term, as of which the candidate is no member; 0: none that the voter knows of.
struct Vote { term @0 :UInt64; isPreVote @1 :Bool; isGranted @2 :Bool; isAmnesiac @3 :Bool; removedAt @4 :UInt64; removedTerm @5 :UInt64; }
# last: the leader's last index when it sent this.
struct AppendEntries {
  term @0 :UInt64; sequence @1 :UInt64; committed @2 :UInt64; previousIndex @3 :UInt64; previousTerm @4 :UInt64; entries @5 :List(Entry);
  last @6 :UInt64; clusterId @7 :Text;
}
# until: what the member must see committed before its answers count again; 0: they count.
struct Appended { term @0 :UInt64; sequence @1 :UInt64; isMatch @2 :Bool; match @3 :UInt64; hint @4 :UInt64; previousIndex @5 :UInt64; until @6 :UInt64; }
struct InstallSnapshot {
  term @0 :UInt64; sequence @1 :UInt64; index @2 :UInt64; indexTerm @3 :UInt64;
  configurationIndex @4 :UInt64; voters @5 :List(Text); offset @6 :UInt64; chunk @7 :Data; isLast @8 :Bool; crc @9 :UInt32;      # crc of the whole content
  learners @10 :List(Text); clusterId @11 :Text; last @12 :UInt64;
}
# How much of a snapshot has arrived in order; 0 asks for it from the beginning.
struct SnapshotReceived { term @0 :UInt64; sequence @1 :UInt64; index @2 :UInt64; offset @3 :UInt64; until @4 :UInt64; }
struct TimeoutNow { term @0 :UInt64; }

struct RaftMessage { union {
  unset @0 :Void; requestVote @1 :RequestVote; vote @2 :Vote; appendEntries @3 :AppendEntries; appended @4 :Appended;
  installSnapshot @5 :InstallSnapshot; timeoutNow @6 :TimeoutNow; snapshotReceived @7 :SnapshotReceived;
} }
