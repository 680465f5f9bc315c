// Every run of the formation handshake, and of enrolment, with an attacker who is the network.
//
// A Dolev-Yao model: cryptography is perfect, terms are symbols, the attacker keeps all that is
// sent, can dial and accept with ids of its own, and says anything that it can build. The secret
// is known to the honest members alone. Runs are explored breadth first over all states until no
// new one appears; states are small because nonces are named after the session that made them.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace peat::security {
namespace {

// Who speaks. The honest two have the secret; M is the attacker, at both ends if it likes.
enum class Who : std::uint8_t { a, b, m };
constexpr std::array kHonest{Who::a, Who::b};

// What a challenge is made of. The tag is perfect: only who has the secret makes one, and it says
// for which pair of ids. A response is a MAC over the whole challenge: only who has the secret
// makes one.
struct Challenge {
  int fresh = 0;  // which session's randomness; 0 is the attacker's
  bool tagged = false;
  Who acceptor = Who::m;
  Who dialler = Who::m;
  friend auto operator<=>(const Challenge&, const Challenge&) = default;
};
using Response = Challenge;  // the challenge that it answers

// One end of one session of an honest member: with whom TLS says that it is connected.
struct End {
  Who self;
  Who peer;
  bool acceptor;
  enum class State : std::uint8_t {
    idle,
    waiting,
    answered,
    accepted,
    refused
  } state = State::idle;
  Challenge challenge{};  // sent, or answered
  friend auto operator<=>(const End&, const End&) = default;
};

struct World {
  std::vector<End> ends;
  std::set<Challenge> heard_challenges;  // the attacker has these
  std::set<Response> heard_responses;
  friend auto operator<=>(const World&, const World&) = default;
};

enum class Binding : bool { off, on };

// TLS: what an honest member sends to an honest member arrives there alone and unchanged (the
// attacker can only drop it). With M as its peer, it talks to the attacker.
class Explorer {
 public:
  Explorer(Binding binding, std::vector<End> ends) : binding_(binding) {
    World world;
    world.ends = std::move(ends);
    add(std::move(world));
    while (!queue_.empty()) {
      const auto next = queue_.front();
      queue_.pop_front();
      step(next);
    }
  }

  std::size_t states() const { return seen_.size(); }
  bool reached(const std::function<bool(const World&)>& what) const {
    return std::ranges::any_of(seen_, what);
  }

 private:
  void add(World world) {
    if (seen_.insert(world).second) queue_.push_back(std::move(world));
  }

  void step(const World& world) {
    for (std::size_t i = 0; i < world.ends.size(); ++i) {
      const auto& end = world.ends[i];
      if (end.acceptor && end.state == End::State::idle) send_challenge(world, i);
      if (!end.acceptor && end.state == End::State::idle) hear_challenges(world, i);
      if (end.acceptor && end.state == End::State::waiting) hear_responses(world, i);
      if (!end.acceptor && end.state == End::State::answered) hear_verdict(world, i);
    }
  }

  void send_challenge(const World& before, std::size_t i) {
    auto world = before;
    auto& end = world.ends[i];
    end.challenge = {static_cast<int>(i) + 1, true, end.self, end.peer};
    end.state = End::State::waiting;
    if (end.peer == Who::m) world.heard_challenges.insert(end.challenge);
    add(std::move(world));
  }

  void hear_challenges(const World& before, std::size_t i) {
    const auto& end = before.ends[i];
    std::set<Challenge> offered;
    if (end.peer == Who::m) {
      // Anything the attacker has heard, and anything it can build: never a tag.
      offered = before.heard_challenges;
      offered.insert(Challenge{0, false, Who::m, end.self});
    } else {
      for (const auto& other : before.ends) {
        const bool partner = other.acceptor && other.self == end.peer && other.peer == end.self;
        if (partner && other.state == End::State::waiting) offered.insert(other.challenge);
      }
    }
    for (const auto& challenge : offered) {
      auto world = before;
      auto& mine = world.ends[i];
      const bool bound =
          challenge.tagged && challenge.acceptor == mine.peer && challenge.dialler == mine.self;
      if (binding_ == Binding::on && !bound) {
        mine.state = End::State::refused;
      } else {
        mine.state = End::State::answered;
        mine.challenge = challenge;
        if (mine.peer == Who::m) world.heard_responses.insert(challenge);
      }
      add(std::move(world));
    }
  }

  void hear_responses(const World& before, std::size_t i) {
    const auto& end = before.ends[i];
    std::set<Response> offered;
    if (end.peer == Who::m) {
      offered = before.heard_responses;  // it cannot build one
    } else {
      for (const auto& other : before.ends) {
        const bool partner = !other.acceptor && other.self == end.peer && other.peer == end.self;
        if (partner && other.state == End::State::answered) offered.insert(other.challenge);
      }
    }
    for (const auto& response : offered) {
      auto world = before;
      world.ends[i].state = response == end.challenge ? End::State::accepted : End::State::refused;
      add(std::move(world));
    }
  }

  void hear_verdict(const World& before, std::size_t i) {
    const auto& end = before.ends[i];
    bool yes = end.peer == Who::m;  // the attacker says what it likes
    for (const auto& other : before.ends) {
      yes = yes || (other.acceptor && other.self == end.peer && other.peer == end.self &&
                    other.state == End::State::accepted);
    }
    if (!yes) return;
    auto world = before;
    world.ends[i].state = End::State::accepted;
    add(std::move(world));
  }

  Binding binding_;
  std::set<World> seen_;
  std::deque<World> queue_;
};

// Two sessions of each honest member in each role with each possible peer would be 16 ends; two
// per member and role, one with the attacker and one with the other member, are all that can
// differ, and each of them twice, so that one session's words can serve in another of its kind.
std::vector<End> all_ends() {
  std::vector<End> ends;
  for (const auto self : kHonest) {
    const auto other = self == Who::a ? Who::b : Who::a;
    for (const bool acceptor : {true, false}) {
      ends.push_back({self, Who::m, acceptor});
      ends.push_back({self, other, acceptor});
    }
  }
  ends.push_back({Who::a, Who::m, true});
  ends.push_back({Who::b, Who::m, false});
  return ends;
}

bool accepts_attacker(const World& world) {
  return std::ranges::any_of(world.ends, [](const End& end) {
    return end.peer == Who::m && end.state == End::State::accepted;
  });
}

bool acceptor_accepts_attacker(const World& world) {
  return std::ranges::any_of(world.ends, [](const End& end) {
    return end.acceptor && end.peer == Who::m && end.state == End::State::accepted;
  });
}

// Of an accepted session the other end means the same session.
bool key_share_is_known(const World& world) {
  return std::ranges::all_of(world.ends, [&](const End& end) {
    if (end.state != End::State::accepted || end.peer == Who::m) return true;
    return std::ranges::any_of(world.ends, [&](const End& other) {
      return other.self == end.peer && other.peer == end.self && other.acceptor != end.acceptor &&
             other.challenge == end.challenge;
    });
  });
}

TEST(HandshakeModel, WithTheBoundNonceNoHonestEndAcceptsTheAttacker) {
  const Explorer explored(Binding::on, all_ends());
  EXPECT_GT(explored.states(), 1000U);
  EXPECT_FALSE(explored.reached(accepts_attacker));
  EXPECT_FALSE(explored.reached([](const World& w) { return !key_share_is_known(w); }));
  // The model is not empty: honest members do reach each other.
  EXPECT_TRUE(explored.reached([](const World& world) {
    return std::ranges::count_if(
               world.ends, [](const End& end) { return end.state == End::State::accepted; }) == 4;
  }));
}

TEST(HandshakeModel, D29TheUnboundVariantIsRelayed) {
  // Two ends suffice: A believes that it accepts M, B that it dials M.
  const Explorer explored(Binding::off, {{Who::a, Who::m, true}, {Who::b, Who::m, false}});
  // A rogue acceptor is believed, and a middleman is let in as a member.
  EXPECT_TRUE(explored.reached(accepts_attacker));
  EXPECT_TRUE(explored.reached(acceptor_accepts_attacker));
}

// --- enrolment -----------------------------------------------------------------------------------
//
// A device D with an invitation, the authority, and the attacker, who may answer in the
// authority's place and has a key of its own. The token is known to D and the authority; D sends
// the token itself (as existing peers do) or a proof for (server, subject).

struct Sent {
  bool bare = false;  // the token itself
  Who server = Who::m;
  Who subject = Who::m;
  friend auto operator<=>(const Sent&, const Sent&) = default;
};

struct EnrollmentWorld {
  bool device_asked_attacker = false;
  bool device_asked_authority = false;
  int uses_left = 1;
  std::set<Sent> heard;
  std::set<Who> certified;
  friend auto operator<=>(const EnrollmentWorld&, const EnrollmentWorld&) = default;
};

// a: the device, b: the authority.
bool attacker_is_certified(bool proof, bool link_names_server) {
  std::set<EnrollmentWorld> seen;
  std::deque<EnrollmentWorld> queue{EnrollmentWorld{}};
  bool broken = false;
  while (!queue.empty()) {
    const auto world = queue.front();
    queue.pop_front();
    if (!seen.insert(world).second) continue;
    broken = broken || world.certified.contains(Who::m);
    const auto ask = [&](Who server) {
      auto next = world;
      const Sent sent{!proof, server, Who::a};
      if (server == Who::m) {
        next.device_asked_attacker = true;
        next.heard.insert(sent);
      } else {
        next.device_asked_authority = true;
        if (next.uses_left > 0) {
          --next.uses_left;
          next.certified.insert(Who::a);
        }
      }
      queue.push_back(std::move(next));
    };
    if (!world.device_asked_authority) ask(Who::b);
    // The device dials the endpoint id of its link; without one, whoever answers.
    if (!link_names_server && !world.device_asked_attacker) ask(Who::m);
    // The attacker asks the authority with what it has heard, for its own key.
    for (const auto& sent : world.heard) {
      const bool good = sent.bare || (sent.server == Who::b && sent.subject == Who::m);
      if (!good || world.uses_left == 0) continue;
      auto next = world;
      --next.uses_left;
      next.certified.insert(Who::m);
      queue.push_back(std::move(next));
    }
  }
  return broken;
}

TEST(HandshakeModel, NoRunOfEnrolmentCertifiesTheAttackersKey) {
  EXPECT_FALSE(attacker_is_certified(true, true));
  EXPECT_FALSE(attacker_is_certified(true, false)) << "the proof alone suffices";
  EXPECT_FALSE(attacker_is_certified(false, true)) << "and so does the link's endpoint id";
}

TEST(HandshakeModel, D65TheReferencesEnrolmentCertifiesIt) {
  EXPECT_TRUE(attacker_is_certified(false, false));
}

}  // namespace
}  // namespace peat::security
