@0xf3b9815e6a2c4d55;
using V = import "/protocol/values.capnp";
# Operators' tools to a master or an agent: one request, one answer with the same call number.

struct ListMasters { call @0 :UInt64; }
# Lists come in pages: `isMore` says that asking with `after` = the last one's id (of a task: its launch) brings the rest.
struct ListAgents { call @0 :UInt64; after @1 :Text; }
struct ListFrameworks { call @0 :UInt64; all @1 :Bool; after @2 :Text; }
struct ListTasks { call @0 :UInt64; all @1 :Bool; frameworkId @2 :Text; task @3 :Text; after @4 :Text; agentId @5 :Text; }  # task: id or framework/id; all: ended ones too
struct ListOffers { call @0 :UInt64; after @1 :Text; }
struct ListRoles { call @0 :UInt64; after @1 :Text; }
struct ListQuotas { call @0 :UInt64; after @1 :Text; }
struct ListReservations { call @0 :UInt64; after @1 :Text; }
struct ReserveByOperator {
  call @0 :UInt64; agentId @1 :Text; reservation @2 :Text; role @3 :Text; resources @4 :V.Resources;
  source @5 :Text; labels @6 :List(V.Label); ttlNs @7 :Int64; plan @8 :Bool;   # plan: only say what it would do
}
struct UnreserveByOperator {
  call @0 :UInt64; agentId @1 :Text; reservation @2 :Text; resources @3 :V.Resources; whenFree @4 :Bool; plan @5 :Bool;   # no resources: all
}
struct ListVolumes { call @0 :UInt64; after @1 :Text; }
struct ChangeVolume {
  call @0 :UInt64; agentId @1 :Text; volume @2 :Text; verb @3 :Text; reservation @4 :Text; sizeBytes @5 :UInt64;   # verb: create, resize, destroy
  isShared @6 :Bool; plan @7 :Bool;
}
struct ListBookings { call @0 :UInt64; after @1 :Text; }
struct SetBooking { call @0 :UInt64; booking @1 :V.Booking; plan @2 :Bool; }
struct RemoveBooking { call @0 :UInt64; bookingId @1 :Text; }
struct KillTaskByOperator { call @0 :UInt64; frameworkId @1 :Text; taskId @2 :Text; graceNs @3 :Int64; }
struct ResizeTaskByOperator { call @0 :UInt64; frameworkId @1 :Text; taskId @2 :Text; resources @3 :V.Resources; }
struct RemoveFramework { call @0 :UInt64; frameworkId @1 :Text; }
struct SetQuota { call @0 :UInt64; role @1 :Text; guarantee @2 :List(V.Quantity); limit @3 :List(V.Quantity); force @4 :Bool; plan @5 :Bool; }   # nothing of both: none
struct SetPolicy { call @0 :UInt64; role @1 :Text; least @2 :List(V.Quantity); sharers @3 :UInt32; isOpen @4 :Bool; reclaims @5 :Bool; }   # how a role and all below it are offered anything; nothing: as above it
struct ListPolicies { call @0 :UInt64; after @1 :Text; }
struct SetWeight { call @0 :UInt64; role @1 :Text; weightMilli @2 :Int64; }
struct Explain { call @0 :UInt64; frameworkId @1 :Text; role @2 :Text; taskId @3 :Text; }   # why a framework or a role is, or is not, offered anything; of a task what it waits for
struct DeactivateAgent { call @0 :UInt64; agentId @1 :Text; }          # offer nothing of it; its tasks run on
struct ActivateAgent { call @0 :UInt64; agentId @1 :Text; }            # the end of a deactivation, or of a drain
struct DrainAgent { call @0 :UInt64; agentId @1 :Text; graceNs @2 :Int64; deadlineNs @3 :Int64; marksGone @4 :Bool; }   # deadlineNs: from now until its tasks are killed
struct DeclareGone { call @0 :UInt64; agentId @1 :Text; }              # an agent that is away never comes back, and its tasks are dead
struct ScheduleWindow { call @0 :UInt64; name @1 :Text; agents @2 :List(Text); startNs @3 :Int64; endNs @4 :Int64; graceNs @5 :Int64; }   # endNs 0: until it is ended
struct EndWindow { call @0 :UInt64; name @1 :Text; }
struct ListWindows { call @0 :UInt64; after @1 :Text; }
struct ShowGuard { call @0 :UInt64; }
struct LiftGuard { call @0 :UInt64; forNs @1 :Int64; }                 # give silent agents up however many they are; 0: no more
# Changes of who leads and who belongs are answered when they are committed.
struct AddMaster { call @0 :UInt64; address @1 :Text; }                # as a learner
struct PromoteMaster { call @0 :UInt64; address @1 :Text; }            # a learner that has caught up becomes a voter
struct RemoveMaster { call @0 :UInt64; address @1 :Text; }
struct TransferLeadership { call @0 :UInt64; address @1 :Text; }
struct ReadFile { call @0 :UInt64; frameworkId @1 :Text; taskId @2 :Text; file @3 :Text; offset @4 :UInt64; length @5 :UInt32; }

# A copy of a master's log: its snapshot piece by piece, then the committed entries after it.
struct ReadSnapshot { call @0 :UInt64; index @1 :UInt64; offset @2 :UInt64; }      # index 0: the newest, from its beginning
struct ReadEntries { call @0 :UInt64; first @1 :UInt64; last @2 :UInt64; waitNs @3 :Int64; }   # first 0: only the bounds; waitNs: for so long if none is committed yet
# Have the master that is asked take a snapshot now and drop all entries that it covers; answered when both are on its disk.
struct CompactLog { call @0 :UInt64; }

struct MasterView {
  address @0 :Text; role @1 :Text; term @2 :UInt64; committed @3 :UInt64; applied @4 :UInt64; isReachable @5 :Bool; version @6 :Text;
  last @7 :UInt64; snapshotIndex @8 :UInt64; snapshotBytes @9 :UInt64; fsyncNs @10 :UInt64; usedBytes @11 :UInt64; freeBytes @12 :UInt64;
  member @13 :Text; lag @14 :UInt64; clusterId @15 :Text;      # member: voter, learner, removed or nothing; lag: entries it lacks, as the leader knows
  trouble @16 :Text;                                            # why who answers has no link to it
}
struct AgentView {
  agentId @0 :Text; hostname @1 :Text; address @2 :Text; state @3 :Text;       # state: connected, disconnected, unreachable
  total @4 :V.Resources; allocated @5 :V.Resources; offered @6 :V.Resources;
  attributes @7 :List(V.Attribute); tasks @8 :UInt32; registeredNs @9 :Int64; version @10 :Text; isolation @11 :List(Text);
  duty @12 :Text;                 # active, deactivated, draining, drained or gone
  by @13 :Text; drainNs @14 :Int64; killNs @15 :Int64; marksGone @16 :Bool;    # of a drain: whose, since when, when its tasks are killed
  asked @17 :UInt32; accepted @18 :UInt32; declined @19 :UInt32;               # frameworks that were asked to give it back, and what they said
}
struct WindowView {
  name @0 :Text; startNs @1 :Int64; endNs @2 :Int64; isBegun @3 :Bool; by @4 :Text; graceNs @5 :Int64;
  agents @6 :UInt32; drained @7 :UInt32; tasks @8 :UInt32; asked @9 :UInt32; accepted @10 :UInt32; declined @11 :UInt32; members @12 :List(Text);
}
struct FrameworkView {
  frameworkId @0 :Text; name @1 :Text; principal @2 :Text; user @3 :Text; roles @4 :List(Text); state @5 :Text;
  tasks @6 :UInt32; offers @7 :UInt32; allocated @8 :V.Resources; subscribedNs @9 :Int64; failoverTimeoutNs @10 :Int64; hostname @11 :Text;
}
struct TaskView {
  status @0 :V.TaskStatus; description @1 :V.TaskDescription; role @2 :Text;
  agentAddress @3 :Text; agentHostname @4 :Text; launchedNs @5 :Int64; frameworkName @6 :Text;
  wanted @7 :V.Resources;         # that it is being resized to; nothing: it is not
}
struct OfferView { offerId @0 :Text; frameworkId @1 :Text; agentId @2 :Text; role @3 :Text; resources @4 :V.Resources; madeNs @5 :Int64; hostname @6 :Text; rivalOf @7 :Text; }   # rivalOf: the offer that lends the same to another framework
struct QuotaView { role @0 :Text; guarantee @1 :List(V.Quantity); limit @2 :List(V.Quantity); used @3 :List(V.Quantity); offered @4 :List(V.Quantity); }
struct PolicyView { role @0 :Text; least @1 :List(V.Quantity); sharers @2 :UInt32; isOpen @3 :Bool; reclaims @4 :Bool; }   # sharers: how many may be offered the same at once; isOpen: transactions, no offers; reclaims: preemptible tasks are ended for it
struct RoleView { role @0 :Text; weightMilli @1 :Int64; frameworks @2 :UInt32; allocated @3 :V.Resources; dominantShareMillionths @4 :Int64; dominantResource @5 :Text;
  wanted @6 :List(V.Quantity); wantedTasks @7 :UInt64; }       # wanted: asked for and not offered yet; by its frameworks, and those below it
struct BookingView { booking @0 :V.Booking; state @1 :Text; agents @2 :UInt32; wanted @3 :V.Resources; reserved @4 :V.Resources; }   # state: waiting, announced, open
struct ReservationView {
  agentId @0 :Text; hostname @1 :Text; reservation @2 :V.Reservation; allocated @3 :V.Resources; offered @4 :V.Resources;
  state @5 :Text; madeNs @6 :Int64;                            # state: static, dynamic, ending
}
struct VolumeView { agentId @0 :Text; hostname @1 :Text; volume @2 :V.Volume; tasks @3 :List(Text); madeNs @4 :Int64; fault @5 :Text; }   # fault: why its last change failed

struct Masters { call @0 :UInt64; masters @1 :List(MasterView); }
struct Agents { call @0 :UInt64; agents @1 :List(AgentView); isMore @2 :Bool; }
struct Frameworks { call @0 :UInt64; frameworks @1 :List(FrameworkView); isMore @2 :Bool; }
struct Tasks { call @0 :UInt64; tasks @1 :List(TaskView); isMore @2 :Bool; }
struct OfferList { call @0 :UInt64; offers @1 :List(OfferView); isMore @2 :Bool; }
struct Roles { call @0 :UInt64; roles @1 :List(RoleView); isMore @2 :Bool; }
struct Quotas { call @0 :UInt64; quotas @1 :List(QuotaView); isMore @2 :Bool; }
struct Reservations { call @0 :UInt64; reservations @1 :List(ReservationView); isMore @2 :Bool; }
struct Policies { call @0 :UInt64; policies @1 :List(PolicyView); isMore @2 :Bool; }
struct ZoneView { zone @0 :Text; agents @1 :UInt32; absent @2 :UInt32; isHeld @3 :Bool; }   # zone: empty for agents without one
struct GuardView { call @0 :UInt64; zones @1 :List(ZoneView); waiting @2 :UInt32; liftedUntilNs @3 :Int64; }   # waiting: agents that are silent for too long
struct Volumes { call @0 :UInt64; volumes @1 :List(VolumeView); isMore @2 :Bool; }
struct Windows { call @0 :UInt64; windows @1 :List(WindowView); isMore @2 :Bool; }
struct Bookings { call @0 :UInt64; bookings @1 :List(BookingView); isMore @2 :Bool; }
struct Finding { about @0 :Text; reason @1 :Text; text @2 :Text; count @3 :UInt32; examples @4 :List(Text); }   # count and examples: of agents, or of those before it
struct Explanation { call @0 :UInt64; findings @1 :List(Finding); }
struct Done { call @0 :UInt64; text @1 :Text; }
struct FileChunk { call @0 :UInt64; content @1 :Data; sizeBytes @2 :UInt64; isFinal @3 :Bool; }   # isFinal: the task has ended
struct SnapshotPart {
  call @0 :UInt64; index @1 :UInt64; term @2 :UInt64; configurationIndex @3 :UInt64; voters @4 :List(Text);   # index 0: there is none
  sizeBytes @5 :UInt64; crc @6 :UInt32; content @7 :Data;
  logTerm @8 :UInt64; committed @9 :UInt64; cluster @10 :Text; stampNs @11 :Int64;   # of the log as it is now
}
struct LogEntry { index @0 :UInt64; term @1 :UInt64; command @2 :Data; }
struct EntriesPart { call @0 :UInt64; entries @1 :List(LogEntry); first @2 :UInt64; committed @3 :UInt64; }   # entries: at least one, if one asked for is committed; first: of those held
struct LogCompacted { call @0 :UInt64; index @1 :UInt64; sizeBytes @2 :UInt64; dropped @3 :UInt64; kept @4 :UInt64; usedBytes @5 :UInt64; }   # sizeBytes: of the snapshot; entries; usedBytes: of the file
struct Failed { call @0 :UInt64; reason @1 :Text; text @2 :Text; leader @3 :Text; }

struct OperatorMessage { union {
  unset @0 :Void;
  listMasters @1 :ListMasters; listAgents @2 :ListAgents; listFrameworks @3 :ListFrameworks; listTasks @4 :ListTasks;
  listOffers @5 :ListOffers; listRoles @6 :ListRoles; killTaskByOperator @7 :KillTaskByOperator;
  removeFramework @8 :RemoveFramework; setWeight @9 :SetWeight; readFile @10 :ReadFile;
  masters @11 :Masters; agents @12 :Agents; frameworks @13 :Frameworks; tasks @14 :Tasks; offerList @15 :OfferList;
  roles @16 :Roles; done @17 :Done; fileChunk @18 :FileChunk; failed @19 :Failed;
  readSnapshot @20 :ReadSnapshot; readEntries @21 :ReadEntries; snapshotPart @22 :SnapshotPart; entriesPart @23 :EntriesPart;
  addMaster @24 :AddMaster; promoteMaster @25 :PromoteMaster; removeMaster @26 :RemoveMaster; transferLeadership @27 :TransferLeadership;
  setQuota @28 :SetQuota; listQuotas @29 :ListQuotas; quotas @30 :Quotas;
  compactLog @31 :CompactLog; logCompacted @32 :LogCompacted;
  explain @33 :Explain; explanation @34 :Explanation;
  deactivateAgent @35 :DeactivateAgent; activateAgent @36 :ActivateAgent; drainAgent @37 :DrainAgent; declareGone @38 :DeclareGone;
  listReservations @39 :ListReservations; reservations @40 :Reservations;
  reserveByOperator @41 :ReserveByOperator; unreserveByOperator @42 :UnreserveByOperator;
  setPolicy @43 :SetPolicy; listPolicies @44 :ListPolicies; policies @45 :Policies;
  showGuard @46 :ShowGuard; liftGuard @47 :LiftGuard; guardView @48 :GuardView;
  listVolumes @49 :ListVolumes; volumes @50 :Volumes; changeVolume @51 :ChangeVolume;
  scheduleWindow @52 :ScheduleWindow; endWindow @53 :EndWindow; listWindows @54 :ListWindows; windows @55 :Windows;
  resizeTaskByOperator @56 :ResizeTaskByOperator;
  listBookings @57 :ListBookings; bookings @58 :Bookings; setBooking @59 :SetBooking; removeBooking @60 :RemoveBooking;
} }
