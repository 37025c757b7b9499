// Any text in any format: masking keeps the number of lines and lets no given secret through.
#include "core/edit/mask.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

using namespace dbx::edit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    constexpr Format formats[] = {Format::toml, Format::json, Format::jsonc, Format::dotenv};
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::vector<std::string> secrets = {"S3C\"RET", "plain-secret", "line\nbreak"};
    const auto lines = std::count(text.begin(), text.end(), '\n');
    for (const auto& shown :
         {mask_file(formats[data[0] % 4], text, secrets), mask_text(text), mask_value("api_key", text)}) {
        if (shown.find("dapi0123456789abcdef0123456789abcdef") != std::string::npos) std::abort();
    }
    const auto shown = mask_file(formats[data[0] % 4], text, secrets);
    if (std::count(shown.begin(), shown.end(), '\n') != lines) std::abort();
    for (const auto& secret : secrets) {
        if (shown.find(secret) != std::string::npos) std::abort();
    }
    if (shown.find("S3C\\\"RET") != std::string::npos) std::abort();
    const auto plain = mask_text(text);
    if (std::count(plain.begin(), plain.end(), '\n') != lines) std::abort();
    return 0;
}
