#include "crypto/key_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <unistd.h>

#include "crypto/secret_file.hpp"

namespace peat::crypto {
namespace {

namespace fs = std::filesystem;

class KeyFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "peat-key-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    path_ = dir_ / "node.key";
  }
  void TearDown() override { fs::remove_all(dir_); }

  void write(std::string_view content, ::mode_t mode) const {
    std::ofstream(path_) << content;
    ::chmod(path_.c_str(), mode);
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(dir_), fs::directory_iterator{}));
  }

  fs::path dir_;
  fs::path path_;
  SystemRandom random_;
};

TEST_F(KeyFile, TheIdentityOfANodeOutlivesItsProcess) {
  const auto first = load_or_create_key_file(path_, random_).value().public_key();
  EXPECT_EQ(load_or_create_key_file(path_, random_).value().public_key(), first);
  EXPECT_EQ(load_key_file(path_).value().public_key(), first);
}

TEST_F(KeyFile, IsExactly32BytesReadableByItsOwnerAlone) {
  ::umask(0);
  const auto key = load_or_create_key_file(path_, random_).value();
  struct stat info{};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_EQ(info.st_size, 32);
  EXPECT_EQ(files(), 1u) << "no temporary file is left";
}

// D-22: existing peers write keys with the process's umask and never look at the mode again.
TEST_F(KeyFile, D22AKeyThatOthersMayReadIsRefusedWithTheRemedy) {
  for (const ::mode_t mode : {0640u, 0620u, 0604u, 0602u}) {
    write(std::string(32, 'k'), mode);
    const auto result = load_or_create_key_file(path_, random_);
    ASSERT_FALSE(result) << std::oct << mode;
    EXPECT_EQ(result.error().code, Code::bad_key_file);
    EXPECT_NE(result.error().message.find("chmod 600"), std::string::npos);
  }
}

// Of a service that runs as another user than root its group's bits are an access list.
TEST_F(KeyFile, ACredentialOfSystemdMayBeReadByItsGroupAndNoOtherFileMay) {
  const auto read = [this] { return read_secret_file(path_, {}); };
  write("secret", 0440);
  EXPECT_FALSE(read());
  ::setenv("CREDENTIALS_DIRECTORY", dir_.c_str(), 1);
  const bool root = ::geteuid() == 0;
  EXPECT_EQ(read().has_value(), root) << "credentials belong to root";
  write("secret", 0460);
  EXPECT_FALSE(read());
  write("secret", 0444);
  EXPECT_FALSE(read());
  ::setenv("CREDENTIALS_DIRECTORY", "/run/credentials/other.service", 1);
  write("secret", 0440);
  EXPECT_FALSE(read());
  ::unsetenv("CREDENTIALS_DIRECTORY");
}

TEST_F(KeyFile, ALinkThatTheOperatorNamesLeadsToAFileUnderTheSameRules) {
  const auto real = dir_ / "real";
  write("secret", 0600);
  fs::rename(path_, real);
  fs::create_symlink(real, path_);
  EXPECT_FALSE(read_secret_file(path_, {}));
  EXPECT_TRUE(read_secret_file(path_, {.follow_link = true}));
  fs::permissions(real, fs::perms::group_read, fs::perm_options::add);
  EXPECT_FALSE(read_secret_file(path_, {.follow_link = true}));
}

TEST_F(KeyFile, AWrongLengthIsNamedAndTheFileIsLeftAlone) {
  for (const std::size_t n : {0u, 31u, 33u, 64u}) {
    write(std::string(n, 'k'), 0600);
    const auto result = load_or_create_key_file(path_, random_);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::bad_key_file);
    EXPECT_NE(result.error().message.find(std::to_string(n) + " bytes"), std::string::npos);
    EXPECT_EQ(fs::file_size(path_), n);
  }
}

TEST_F(KeyFile, LinksDirectoriesAndPipesAreRefused) {
  const auto real = dir_ / "real.key";
  ASSERT_TRUE(create_key_file(real, SecretKey::generate(random_), random_));
  fs::create_symlink(real, path_);
  EXPECT_EQ(load_or_create_key_file(path_, random_).error().code, Code::bad_key_file);
  fs::remove(path_);
  fs::create_directory(path_);
  EXPECT_EQ(load_key_file(path_).error().code, Code::bad_key_file);
  fs::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(load_key_file(path_).error().code, Code::bad_key_file);
}

TEST_F(KeyFile, AnExistingKeyIsNeverReplaced) {
  ASSERT_TRUE(create_key_file(path_, SecretKey::generate(random_), random_));
  const auto before = load_key_file(path_).value().public_key();
  EXPECT_EQ(create_key_file(path_, SecretKey::generate(random_), random_).error().code,
            Code::bad_key_file);
  EXPECT_EQ(load_key_file(path_).value().public_key(), before);
  EXPECT_EQ(files(), 1u);
}

TEST_F(KeyFile, TwoStartsAtOnceAgreeOnOneKey) {
  std::vector<EndpointId> ids(8);
  {
    std::vector<std::jthread> threads;
    for (auto& id : ids) {
      threads.emplace_back([this, &id] {
        SystemRandom random;
        id = load_or_create_key_file(path_, random).value().public_key();
      });
    }
  }
  for (const auto& id : ids) EXPECT_EQ(id, ids[0]);
}

TEST_F(KeyFile, AMissingDirectoryIsNamed) {
  const auto result = load_or_create_key_file(dir_ / "absent" / "node.key", random_);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::io_error);
  EXPECT_NE(result.error().message.find("absent"), std::string::npos);
}

}  // namespace
}  // namespace peat::crypto
