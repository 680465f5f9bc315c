# Installs the package into the build tree, builds the example against it by CMake and by
# pkg-config, and runs it.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(result)
    message(FATAL_ERROR "failed: ${ARGV}")
  endif()
endfunction()

set(prefix ${work}/prefix)
file(REMOVE_RECURSE ${work})
run(${CMAKE_COMMAND} --install ${build} --prefix ${prefix})
run(${CMAKE_COMMAND} -S ${example} -B ${work}/cmake -G ${generator}
  -D CMAKE_PREFIX_PATH=${prefix} -D CMAKE_CXX_COMPILER=${compiler})
run(${CMAKE_COMMAND} --build ${work}/cmake)
run(${work}/cmake/two_nodes ${work}/data)
run(${work}/cmake/merge_offline)
run(${work}/cmake/notes_in_c)

file(GLOB pkgconfig ${prefix}/lib*/pkgconfig ${prefix}/lib/*/pkgconfig)
set(ENV{PKG_CONFIG_PATH} "${pkgconfig}")
find_program(PKG_CONFIG pkg-config REQUIRED)
execute_process(COMMAND ${PKG_CONFIG} --static --cflags --libs peat-automerge
  OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
run(${compiler} -std=c++23 ${example}/merge_offline.cpp ${flags} -o ${work}/by_pkg_config)
run(${work}/by_pkg_config)
