#include "core/base/error_name.hpp"

namespace dbx {

int exit_code(ErrorKind kind) {
    switch (kind) {
    case ErrorKind::failed:
        return 1;
    case ErrorKind::usage:
        return 2;
    case ErrorKind::file:
        return 3;
    case ErrorKind::credential:
        return 4;
    case ErrorKind::workspace:
        return 5;
    case ErrorKind::timeout:
        return 6;
    case ErrorKind::interrupted:
        return 130;
    }
    return 1;
}

std::string_view name_of(ErrorKind kind) {
    switch (kind) {
    case ErrorKind::failed:
        return "failed";
    case ErrorKind::usage:
        return "usage";
    case ErrorKind::file:
        return "file";
    case ErrorKind::credential:
        return "credential";
    case ErrorKind::workspace:
        return "workspace";
    case ErrorKind::timeout:
        return "timeout";
    case ErrorKind::interrupted:
        return "interrupted";
    }
    return "failed";
}

} // namespace dbx
