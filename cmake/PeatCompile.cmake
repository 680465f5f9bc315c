# How everything here is compiled.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(PEAT_CCACHE ccache)
if(PEAT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${PEAT_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${PEAT_CCACHE})
endif()

# Linking takes most of the time of a small change with the default linker.
find_program(PEAT_MOLD mold)
if(PEAT_MOLD AND PROJECT_IS_TOP_LEVEL)
  add_link_options(-fuse-ld=mold)
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

add_library(peat_compile INTERFACE)
target_include_directories(peat_compile INTERFACE
  ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_compile_options(peat_compile INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wno-sign-conversion
  -Wnon-virtual-dtor -Woverloaded-virtual -fstack-protector-strong)
target_link_libraries(peat_compile INTERFACE Threads::Threads)

set(PEAT_SANITIZE "" CACHE STRING "Value for -fsanitize= (address,undefined or thread)")
if(PEAT_SANITIZE)
  target_compile_options(peat_compile INTERFACE -fsanitize=${PEAT_SANITIZE}
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(peat_compile INTERFACE -fsanitize=${PEAT_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(peat_compile INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these in its own library at -O2 (bugs 105329, 105651 and kin).
  target_compile_options(peat_compile INTERFACE
    -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds -Wno-maybe-uninitialized
    -Wno-stringop-overread)
  if(PEAT_SANITIZE MATCHES "thread")
    # Asio's fences, which GCC's thread sanitizer does not know; its queues have locks besides.
    target_compile_options(peat_compile INTERFACE -Wno-tsan)
  endif()
endif()
