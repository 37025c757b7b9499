// ~/.databrickscfg: any bytes give a file or an error with a line, never a crash, and no line makes another
// profile's key.
#include "core/databricks/config_file.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto file = dbx::databricks::parse_config_file(text, "f");
    if (!file) {
        if (file.error().kind != dbx::ErrorKind::credential || file.error().why.empty()) std::abort();
        return 0;
    }
    for (const auto& profile : file->profiles) {
        if (profile.name.empty() || profile.line < 1) std::abort();
        if (file->find(profile.name) != &profile) std::abort(); // names are unique
        for (const auto& entry : profile.entries) {
            if (entry.key.empty() || entry.line < profile.line || entry.value.find('\n') != std::string::npos)
                std::abort();
        }
    }
    return 0;
}
