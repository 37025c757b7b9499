#include "core/base/error.hpp"

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

} // namespace dbx
