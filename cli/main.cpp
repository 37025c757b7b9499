#include "cli/run.hpp"

int main(int argc, char** argv) {
    return dbx::cli::main(argc, argv);
}
