# The installed package: two libraries out of the modules, the programs, and what finds them.
#
#   peat::automerge  base and the engine                    find_package(peat CONFIG COMPONENTS automerge)
#   peat::mesh       everything else, on peat::automerge     find_package(peat CONFIG COMPONENTS mesh)
#
# Static by default; BUILD_SHARED_LIBS makes shared ones that export the public API alone.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

find_package(fmt REQUIRED)
pkg_check_modules(nettle REQUIRED IMPORTED_TARGET nettle)
pkg_check_modules(libdeflate REQUIRED IMPORTED_TARGET libdeflate)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(libcrypto REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(lmdb REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(ngtcp2 REQUIRED IMPORTED_TARGET
  libngtcp2>=0.12.1 libngtcp2_crypto_gnutls gnutls>=3.7.2)

function(peat_library name)
  cmake_parse_arguments(arg "" "" "MODULES;LIBS" ${ARGN})
  set(objects)
  foreach(module IN LISTS arg_MODULES)
    list(APPEND objects $<TARGET_OBJECTS:peat_${module}>)
  endforeach()
  add_library(peat-${name} ${objects})
  add_library(peat::${name} ALIAS peat-${name})
  set_target_properties(peat-${name} PROPERTIES EXPORT_NAME ${name} LINKER_LANGUAGE CXX
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  target_compile_features(peat-${name} INTERFACE cxx_std_23)
  target_include_directories(peat-${name} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(peat-${name} PRIVATE ${arg_LIBS})
  install(TARGETS peat-${name} EXPORT peat-${name}-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT peat-${name}-targets NAMESPACE peat:: FILE peat-${name}-targets.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/peat)
endfunction()

peat_library(automerge MODULES base automerge LIBS PkgConfig::nettle PkgConfig::libdeflate)

set(mesh_modules crypto query security wire store channel sync net node)
if(BUILD_SHARED_LIBS)
  # base is hidden in the other library.
  list(PREPEND mesh_modules base)
endif()
peat_library(mesh MODULES ${mesh_modules}
  LIBS PkgConfig::nettle PkgConfig::libdeflate PkgConfig::sodium PkgConfig::libcrypto
       PkgConfig::lmdb PkgConfig::ngtcp2 fmt::fmt Threads::Threads)
target_link_libraries(peat-mesh PUBLIC peat-automerge)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/peat DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
configure_package_config_file(cmake/peatConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/peatConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/peat)
# 0.x: every minor version may change the API.
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/peatConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/peatConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/peatConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/peat)
# Relative, so that the installed tree can be moved.
file(RELATIVE_PATH PEAT_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
foreach(name automerge mesh)
  configure_file(cmake/peat-${name}.pc.in ${CMAKE_CURRENT_BINARY_DIR}/peat-${name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/peat-${name}.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

if(TARGET peat-mesh-node)
  install(TARGETS peat peat-mesh-node RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(FILES packaging/peat-mesh-node.service DESTINATION lib/systemd/system)
  install(FILES packaging/node.toml DESTINATION ${CMAKE_INSTALL_DOCDIR})
  install(FILES ${CMAKE_BINARY_DIR}/apps/peat.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME peat)
endif()
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The example project, built against an installed tree. Sanitised libraries need a sanitised user.
if(PEAT_BUILD_TESTS AND NOT PEAT_SANITIZE)
  add_test(NAME example_consumer COMMAND ${CMAKE_COMMAND}
    -D build=${CMAKE_BINARY_DIR} -D work=${CMAKE_BINARY_DIR}/examples/consumer
    -D example=${PROJECT_SOURCE_DIR}/examples/consumer
    -D compiler=${CMAKE_CXX_COMPILER} -D generator=${CMAKE_GENERATOR}
    -P ${PROJECT_SOURCE_DIR}/cmake/PeatTestConsumer.cmake)
  set_tests_properties(example_consumer PROPERTIES LABELS system TIMEOUT 300)
endif()
