#pragma once

#include "core/databricks/models.hpp"
#include "core/system/environment.hpp"
#include "core/system/files.hpp"

namespace dbx::databricks {

// The models that a workspace listed last, kept in the state directory (models.json) so that a shell can
// complete their names without the network. An unreadable or foreign file is as good as none.
std::vector<Model> read_model_cache(const system::Environment& environment, system::FileSystem& files);
Result<void> write_model_cache(const std::vector<Model>& models, const system::Environment& environment,
                               system::FileSystem& files);

} // namespace dbx::databricks
