#include "core/crypto/keys.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace fleet;
using namespace fleet::crypto;

namespace {

struct Case {
  char const* what;
  bool accepted;
  std::string_view message, key, signature;
};

// The twelve cases of "Taming the many EdDSAs" (eprint 2020/1244, table 5), in its order, with libsodium's verdicts.
constexpr auto kSpeccheck = std::to_array<Case>({
    {"S = 0, small A and R", false, "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
     "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
     "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000"},
    {"small A, mixed R", false, "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
     "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
     "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04"},
    {"mixed A, small R", false, "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
     "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
     "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e"},
    {"mixed A and R, verifies with and without the cofactor", true, "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
     "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
     "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009"},
    {"verifies with the cofactor only", false, "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
     "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
     "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09"},
    {"verifies with the cofactor only, if 8h is reduced late", false, "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
     "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
     "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405"},
    {"S above the group order", false, "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
     "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
     "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514"},
    {"S far above the group order", false, "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
     "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
     "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22"},
    {"non-canonical small R, reduced for the hash", false, "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
     "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
     "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f"},
    {"non-canonical small R, not reduced for the hash", false, "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
     "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
     "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908"},
    {"non-canonical small A, reduced for the hash", false, "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
     "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04"},
    {"non-canonical small A, not reduced for the hash", false, "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
     "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04"},
});

constexpr std::string_view kEcKey =
    "-----BEGIN PUBLIC "
    "KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6p0G5yFIqkdgObTe1IbMaO7jbdGi\nAZ9pku3v/GEqLrLhTt5TfEcIOXQhtbBuBMU50ikr4DdJckbezQ7IRtTJ5w==\n-----END PUBLIC "
    "KEY-----\n";
constexpr std::string_view kEcShort =
    "-----BEGIN PUBLIC KEY-----\nMDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgAD6p0G5yFIqkdgObTe1IbMaO7jbdGi\nAZ9pku3v/GEqLrI=\n-----END PUBLIC KEY-----\n";
constexpr std::string_view kEcSignature =
    "3045022100f38cd26aa34e0a8571edaf6cc2c4e82a183f010390a5fab62599b9e348e55d6902206d81e68a002b7c802b39f721e5d41a8ae21401dc3e542c9fcca417da31e5f53b";
constexpr std::string_view kP384Key =
    "-----BEGIN PUBLIC "
    "KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEulxp6X8FWL6w5+iC1d7lHU5+3VWwEf4+\n32Lr58M6NHHI0uFct5ov5hcDOVPkckgbDQIQzmEUWcC2aYO0cSl0r0JK0C9FXqtH\nax7yVx3C+"
    "Qdkz9Za9biR/AuHgio6/oBL\n-----END PUBLIC KEY-----\n";
constexpr std::string_view kP384Signature =
    "3066023100d2fe1e6a53249b4abac06f416d2175beb7324444369ed9795620fe17a7383bf90ede8dc8946d45aadce2488d292d8a74023100b8e8eca98d5663a6daaffc9c8c226179307e5d57"
    "0672c967972dce5f0728a4ae3a67eb59fcb2c391837d7157422da43b";
constexpr std::string_view kRsaKey =
    "-----BEGIN PUBLIC "
    "KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAlMa+5t+ba6ax95qSBurn\nnoxWGzxCQHjy60nOYJ6TqL4BOIzCaDLELq2MgmMfaSZ4sMoum+KZ/"
    "ABJXEjHpP3k\nqb0QzLFYr61c1/LZ5gGadQNElRjl2/nt5LUzLvwJd+gkrQfKWMxeEPd0F+Okcl+F\n"
    "2MCUuifUlrXyugt7CBJFPF0s8lYmuXVILQQI1Q/z4WMkKA+7lg+6IG1H5e9MOYtf\nJpccgBC3yNm2+k1VMME1uYw0NNT9FuSR6KpDvd3q1E3K4YQb30QNBtY/dhMQgvF4\n0GPEOMDrzJLd/"
    "LfcxTe1KvJaw78Svnu6aVE4+kOLw5qtSQi0Wb4Em+SGLBA+YFST\niQIDAQAB\n-----END PUBLIC KEY-----\n";
constexpr std::string_view kRsaPss =
    "647377733542e3bf1e187f5c0a2add8b58d6ca164055ec86a7f172710ce1c5f217deb364c06b815b1f1dcf01bd8db74d75b212f0def02f3d929dc2956a8b8dcc24e11a4fd7bc49b7c2bcd1052a"
    "c3cf4095f1f1edc072ac6c28d4427d326ee034"
    "8c28e9c57b611d363fafe02c3aec76ceb6c17f48c0e0efd2ae854b48db69d65a025bc9a5821d9c387fe0b59718b6616889914cf6ed62deca87f819cade622f05f6f2b75e80fc3e2f11f5d80c59"
    "721a767dc11ec7382c7b8a4d4e58f03646c83b"
    "2f6ad76b2458c139f5b1a48a2a8dee03a8d367b81af8abb81ea4a49923cfa032f7af22abd2564d3c3e6e63e30db930635f4ab110572a589127736bc80bd9c6ba";
constexpr std::string_view kRsaPkcs1 =
    "8425d7d76a99dba152c6ad0b89cfd7f17a101a1b7836d64dbc793d335d3058bea26071ddb6a516a4aae32c3c2b0226e8413771a93601d76a4f5bbc9cb59c69a0d97b021faaba8c12efdf8a025c"
    "88773d66d6e7b3985dd51a21664271e261115e"
    "13446807d0e48add6e535fb33257cd738d03f1e6ff8fea91027bf2aa9283cdc00212ac689648fde210bbc0dc3862570755303d005ea65647179e2b301e5dd20cfb5b65d290ebf2be116a4a102c"
    "28aa32a438cae0dec4a01d28b9877b0e0d5d57"
    "422cb87487503e4f2206662713fc511bdf5e092775b03f78779189fc505231df11bd87a6c241d657913cc5c43b5c1c783980f77db768068d2695d4cdfa1e07d3";
constexpr std::string_view kRsa1024 =
    "-----BEGIN PUBLIC "
    "KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDCXdmo2HLltJ4qx6uKInHtB6Vh\nJsXxQwXqksAOAp/zK36+0aPISHGCLL8CRU/"
    "GOcyj8skt6BEmGm1V1UVAx9MAnQKx\nGPueozBU80zvgjn/qVHlxduFZPF8iSL+33FJY/LDLreML/mIaz4qNMqZQNOzMDyz\n/eGUxtBBmRx76zCFYwIDAQAB\n-----END PUBLIC KEY-----\n";
constexpr std::string_view kRsa1024Pss =
    "5da38c84feb7d38554631b5bf661d77a782ad0b74298e199ced73705f4d96d48417d5f0457948097dc4d2612829931d5c1ef19ed0fe511f7e4b88050fa56f7e080305d26cb96eb9bf97f10c201"
    "7762397bb788b7c9f516d80732344de5cf6f3e"
    "e4a340be450d138eac90c0e354b9e809b4c83487c488f468d04c092104f595f1";

PublicKey key(std::string_view type, std::string_view scheme, std::string_view value) { return {std::string(type), std::string(scheme), std::string(value)}; }

}  // namespace

TEST_CASE("edge cases of Ed25519 are judged as libsodium judges them") {
  for (auto const& [what, accepted, message, public_key, signature] : kSpeccheck) {
    CAPTURE(what);
    CHECK(verify(key("ed25519", "ed25519", public_key), *from_hex(message), *from_hex(signature)).has_value() == accepted);
  }
}

TEST_CASE("keys and signatures of others: the one curve, the one padding, sizes that hold") {
  struct Row {
    char const* what;
    bool good;
    std::string_view type, scheme, value, signature;
  };
  for (auto const& [what, good, type, scheme, value, signature] : std::to_array<Row>({
           {"ECDSA P-256", true, "ecdsa", "ecdsa-sha2-nistp256", kEcKey, kEcSignature},
           {"ECDSA P-256, the older name of the type", true, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", kEcKey, kEcSignature},
           {"ECDSA P-256, point in short form", true, "ecdsa", "ecdsa-sha2-nistp256", kEcShort, kEcSignature},
           {"RSA-PSS", true, "rsa", "rsassa-pss-sha256", kRsaKey, kRsaPss},
           {"RSA with PKCS#1 padding", false, "rsa", "rsassa-pss-sha256", kRsaKey, kRsaPkcs1},
           {"RSA of 1024 bits", false, "rsa", "rsassa-pss-sha256", kRsa1024, kRsa1024Pss},
           {"ECDSA P-384 under the scheme of P-256", false, "ecdsa", "ecdsa-sha2-nistp256", kP384Key, kP384Signature},
           {"an EC key called RSA", false, "rsa", "rsassa-pss-sha256", kEcKey, kEcSignature},
           {"an RSA key called EC", false, "ecdsa", "ecdsa-sha2-nistp256", kRsaKey, kRsaPss},
           {"a scheme of another type", false, "ecdsa", "ed25519", kEcKey, kEcSignature},
           {"a signature with bytes after it", false, "ecdsa", "ecdsa-sha2-nistp256", kEcKey,
            "3045022100f38cd26aa34e0a8571edaf6cc2c4e82a183f010390a5fab62599b9e348e55d6902206d81e68a002b7c802b39f721e5d41a8ae21401dc3e542c9fcca417da31e5f53b00"},
           {"no signature", false, "ecdsa", "ecdsa-sha2-nistp256", kEcKey, ""},
           {"no PEM", false, "ecdsa", "ecdsa-sha2-nistp256", "abc", kEcSignature},
           {"an empty key", false, "rsa", "rsassa-pss-sha256", "", kRsaPss},
       })) {
    CAPTURE(what);
    auto const judged = verify(key(type, scheme, value), as_bytes("fleet"), *from_hex(signature));
    CHECK(judged.has_value() == good);
    if (!good) CHECK(judged.error().kind == Kind::signature);
  }
}

TEST_CASE("a key is the same key whichever way it is written") {
  std::string unbroken(kEcKey), commented = "our key\n" + std::string(kEcKey);
  unbroken.erase(unbroken.find("\nAZ9"), 1);
  auto const same = *key_bytes(key("ecdsa", "ecdsa-sha2-nistp256", kEcKey));
  for (auto const& text : {unbroken, commented, std::string(kEcShort), std::string(kEcKey) + "\n\n"}) {
    CAPTURE(text);
    CHECK(*key_bytes(key("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", text)) == same);
  }
  CHECK(*key_bytes(key("ed25519", "ed25519", "D75A")) == *key_bytes(key("ed25519", "ed25519", "d75a")));
  CHECK(*key_bytes(key("rsa", "rsassa-pss-sha256", kRsaKey)) != same);
  CHECK_FALSE(key_bytes(key("ecdsa", "ecdsa-sha2-nistp256", kP384Key)).has_value());
}
