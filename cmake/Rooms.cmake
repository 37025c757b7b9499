# A room is one folder of core/ and one static library dbx_<room>. What a room may use is written
# in its CMakeLists.txt; tests/layers checks that its includes agree.

find_program(DBX_CCACHE ccache)
if(DBX_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${DBX_CCACHE})
endif()

# Language level, warnings and sanitizers of every target of ours.
add_library(dbx_options INTERFACE)
target_compile_features(dbx_options INTERFACE cxx_std_20)
target_include_directories(dbx_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(dbx_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
# GCC 12 sees overlapping copies in the string concatenations of its own library (GCC bug 105651).
target_compile_options(dbx_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
if(DBX_SANITIZE)
  target_compile_options(dbx_options INTERFACE -fsanitize=${DBX_SANITIZE} -fno-omit-frame-pointer
                                               -fno-sanitize-recover=all)
  target_link_options(dbx_options INTERFACE -fsanitize=${DBX_SANITIZE})
endif()
# GCC remarks on every atomic_thread_fence, and Asio has one in each operation.
if(DBX_SANITIZE MATCHES thread)
  target_compile_options(dbx_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
endif()
if(DBX_FUZZ)
  target_compile_options(dbx_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# dbx_room(NAME SOURCES... [PUBLIC LIBS...] [PRIVATE LIBS...])
function(dbx_room name)
  cmake_parse_arguments(PARSE_ARGV 1 room "" "" "SOURCES;PUBLIC;PRIVATE")
  add_library(dbx_${name} STATIC ${room_SOURCES})
  set_target_properties(dbx_${name} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(dbx_${name} PUBLIC ${room_PUBLIC} PRIVATE ${room_PRIVATE} dbx_options)
endfunction()

# dbx_unit_test(NAME SOURCES... LIBS...): a doctest program, one ctest entry.
function(dbx_unit_test name)
  cmake_parse_arguments(PARSE_ARGV 1 test "" "" "SOURCES;LIBS")
  add_executable(test_${name} ${PROJECT_SOURCE_DIR}/tests/unit/main.cpp ${test_SOURCES})
  set_target_properties(test_${name} PROPERTIES CXX_EXTENSIONS OFF)
  target_link_libraries(test_${name} PRIVATE ${test_LIBS} dbx_options)
  add_test(NAME unit.${name} COMMAND test_${name})
endfunction()

# dbx_fuzz_target(NAME SOURCE LIBS...): with DBX_FUZZ, a libFuzzer program over tests/fuzz/corpus/NAME,
# run for DBX_FUZZ_SECONDS in the tests.
set(DBX_FUZZ_SECONDS 8 CACHE STRING "How long each fuzz target runs in ctest")
function(dbx_fuzz_target name source)
  if(NOT DBX_FUZZ)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 2 fuzz "" "" "LIBS")
  add_executable(fuzz_${name} ${source})
  set_target_properties(fuzz_${name} PROPERTIES CXX_EXTENSIONS OFF)
  target_link_libraries(fuzz_${name} PRIVATE ${fuzz_LIBS} dbx_options)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/found/${name})
  add_test(NAME fuzz.${name}
           COMMAND fuzz_${name} -max_total_time=${DBX_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=2048
                   -print_final_stats=0 -verbosity=0 -artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/crash-${name}-
                   ${CMAKE_CURRENT_BINARY_DIR}/found/${name} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
endfunction()
